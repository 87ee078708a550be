//! Operations that name a file, a program or a host, in every place that ImageMagick would take one.

use serde_json::json;

use crate::stage::Comes::{self, Harmless, Refused};
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_opens_a_file() {
    let mut stage = Stage::open(&[]);
    let table: &[(&[&str], Comes)] = &[
        // `@` before a file's name stands for what is in the file.
        (&["annotate 0 @{secret}/a.txt"], Refused("`@` reads a file")),
        (&["label @{secret}/a.txt"], Refused("`@` reads a file")),
        (&["caption @{secret}/a.txt"], Refused("`@` reads a file")),
        (&["comment @{secret}/a.txt"], Refused("`@` reads a file")),
        (&["title @{secret}/a.txt"], Refused("other programs")),
        (
            &["format @{secret}/a.txt identify"],
            Refused("`@` reads a file"),
        ),
        (&["print @{secret}/a.txt"], Refused("`@` reads a file")),
        (
            &["set comment @{secret}/a.txt"],
            Refused("`@` reads a file"),
        ),
        (&["fx @{secret}/a.txt"], Refused("`@` reads a file")),
        (&["channel-fx @{secret}/a.txt"], Refused("`@` reads a file")),
        (&["draw @{secret}/a.mvg"], Refused("`@` reads a file")),
        (
            &["draw 'text 0,0 \"@{secret}/a.txt\"'"],
            Refused("`-draw` is refused with `@`"),
        ),
        (
            &["morphology Dilate @{secret}/a.txt"],
            Refused("`@` reads a file"),
        ),
        (
            &["morphology Dilate 'Disk:1;@{secret}/a.txt'"],
            Refused("takes a kernel"),
        ),
        (&["convolve @{secret}/a.txt"], Refused("`@` reads a file")),
        (
            &["color-matrix @{secret}/a.txt"],
            Refused("`@` reads a file"),
        ),
        (
            &["distort Affine @{secret}/a.txt"],
            Refused("`@` reads a file"),
        ),
        (
            &["sparse-color Voronoi @{secret}/a.txt"],
            Refused("`@` reads a file"),
        ),
        (&["fill @{secret}/a.txt"], Refused("`@` reads a file")),
        (&["cdl @{secret}/a.cdl"], Refused("`@` reads a file")),
        // A text that becomes such a name only with the properties of the image.
        (
            &["set a @{secret}/a.txt", "annotate 0 '%[a]'"],
            Refused("`@` reads a file"),
        ),
        (
            &["set a '\\@{secret}/a.txt'", "annotate 0 '%[a]'"],
            Harmless,
        ),
        (
            &[
                "set a '&#64;{secret}/a.txt'",
                "annotate 0 '%[a]'",
                "print '%[a]'",
            ],
            Harmless,
        ),
        (
            &["set label '\\@{secret}/a.txt'", "annotate 0 %l"],
            Harmless,
        ),
        (
            &[
                "set comment '&#64;{secret}/a.txt'",
                "set caption %c",
                "polaroid 0",
            ],
            Harmless,
        ),
        (
            &[
                "define a=@{secret}/a.txt",
                "annotate 0 '%[a]'",
                "print '%[a]'",
            ],
            Harmless,
        ),
        (&["annotate 0 ' @{secret}/a.txt'"], Harmless),
        // Options that take a file's name.
        (&["tile {secret}/a.png"], Refused("expected a URL")),
        (&["texture {secret}/a.png"], Refused("it reads a file")),
        (&["remap {secret}/a.png"], Refused("expected a URL")),
        (&["map {secret}/a.png"], Refused("")),
        (&["profile {secret}/a.icc"], Refused("expected a URL")),
        (&["mask {secret}/a.png"], Refused("")),
        (&["read-mask {secret}/a.png"], Refused("expected a URL")),
        (&["write-mask {secret}/a.png"], Refused("expected a URL")),
        (&["clip-mask {secret}/a.png"], Refused("expected a URL")),
        (&["clip-path {secret}/a.png"], Refused("is refused")),
        (&["clip"], Refused("is refused")),
        (&["cdl {secret}/a.cdl"], Refused("expected a URL")),
        (&["encipher {secret}/a.txt"], Refused("expected a URL")),
        (&["decipher {secret}/a.txt"], Refused("expected a URL")),
        (&["fill {secret}/a.png"], Refused("takes a colour")),
        (&["stroke {secret}/a.png"], Refused("takes a colour")),
        (&["affinity {secret}/a.png"], Refused("is refused")),
        (
            &["tile file://{secret}/a.png"],
            Refused("does not lie below a folder"),
        ),
        (
            &["remap file://{secret}/a.png"],
            Refused("does not lie below a folder"),
        ),
        (
            &["profile file://{secret}/a.icc"],
            Refused("does not lie below a folder"),
        ),
        (
            &["fill file://{secret}/a.png"],
            Refused("does not lie below a folder"),
        ),
        (
            &["cdl file://{secret}/a.cdl"],
            Refused("does not lie below a folder"),
        ),
        (&["read {secret}/a.png"], Refused("expected a URL")),
        (&["read {up}/a.png"], Refused("expected a URL")),
        (
            &["read file://{secret}/a.png"],
            Refused("does not lie below a folder"),
        ),
        (
            &["read 'file://{secret}/a.png[0]'"],
            Refused("does not lie below a folder"),
        ),
        (&["-- {secret}/a.png"], Refused("is refused")),
        (&["{secret}/a.png"], Refused("there is no operation")),
        (&["magick {secret}/a.png -append out.png"], Harmless),
        (
            &["magick in.png {secret}/a.png -append out.png"],
            Refused("is a second input"),
        ),
        // Fonts are files too.
        (
            &["font {secret}/a.ttf", "annotate 0 x"],
            Refused("names a file"),
        ),
        (
            &["font {up}/a.ttf", "annotate 0 x"],
            Refused("names a file"),
        ),
        (
            &["font @{secret}/a.ttf", "annotate 0 x"],
            Refused("`@` reads a file"),
        ),
        (
            &["family {secret}/a.ttf", "annotate 0 x"],
            Refused("names a file"),
        ),
        (&["text-font {secret}/a.ttf"], Refused("other programs")),
        (&["define font={secret}/a.ttf", "annotate 0 x"], Harmless),
        (
            &["set option:font {secret}/a.ttf", "annotate 0 x"],
            Harmless,
        ),
        (&["set font {secret}/a.ttf", "annotate 0 x"], Harmless),
        (
            &["draw 'font {secret}/a.ttf text 0,9 x'"],
            Refused("no font's name"),
        ),
        (&["draw 'font-family {secret}/a.ttf text 0,9 x'"], Harmless),
        (
            &["draw 'push graphic-context font \"{secret}/a.ttf\" text 0,9 x pop graphic-context'"],
            Refused("no font's name"),
        ),
        // ImageMagick's vector language.
        (
            &["draw 'image Over 0,0 0,0 \"{secret}/a.png\"'"],
            Refused("its primitive `image`"),
        ),
        (
            &["draw 'ImAgE Over 0,0 0,0 {secret}/a.png'"],
            Refused("its primitive `image`"),
        ),
        (
            &["draw \"'image' Over 0,0 0,0 {secret}/a.png\""],
            Refused("its primitive `image`"),
        ),
        (
            &["draw 'rectangle 0,0 5,5;image Over 0,0 0,0 {secret}/a.png'"],
            Refused("its primitive `image`"),
        ),
        (
            &["draw '#\nimage Over 0,0 0,0 {secret}/a.png'"],
            Refused("its primitive `image`"),
        ),
        (
            &["draw 'fill url({secret}/a.png) rectangle 0,0 9,9'"],
            Harmless,
        ),
        (
            &["draw 'fill \"url(file://{secret}/a.png)\" rectangle 0,0 9,9'"],
            Harmless,
        ),
        (
            &["draw 'clip-path url({secret}/a.mvg) rectangle 0,0 9,9'"],
            Harmless,
        ),
        (
            &["draw 'mask url({secret}/a.mvg) rectangle 0,0 9,9'"],
            Harmless,
        ),
        (&["draw 'class {secret}/a.mvg rectangle 0,0 9,9'"], Harmless),
        (
            &[
                "draw 'push pattern a 0,0 9,9 image Over 0,0 0,0 {secret}/a.png pop pattern fill url(#a) rectangle 0,0 9,9'",
            ],
            Refused("its primitive `image`"),
        ),
        (
            &["set a 'image Over 0,0 0,0 {secret}/a.png'", "draw '%[a]'"],
            Harmless,
        ),
        (
            &[
                "define a='image Over 0,0 0,0 {secret}/a.png'",
                "draw '%[a]'",
            ],
            Harmless,
        ),
        (
            &["define mvg:vector-graphics='image Over 0,0 0,0 {secret}/a.png'"],
            Harmless,
        ),
        // Settings by which a coder or an operation opens a file.
        (
            &["define jpeg:quantization-table={secret}/a.xml"],
            Refused("it names a file"),
        ),
        (
            &["define JPEG:Q-Table={secret}/a.xml"],
            Refused("it names a file"),
        ),
        (
            &["set jpeg:q-table {secret}/a.xml"],
            Refused("it names a file"),
        ),
        (
            &["set option:jpeg:q-table {secret}/a.xml"],
            Refused("it names a file"),
        ),
        (
            &["set artifact:jpeg:q-table {secret}/a.xml"],
            Refused("it names a file"),
        ),
        (
            &["set property:profile {secret}/a.icc"],
            Refused("it names a file"),
        ),
        (&["set profile {secret}/a.icc"], Refused("it names a file")),
        (&["define dmr:x={secret}/a.png"], Refused("it names a file")),
        (&["define delegate:bimodal=true"], Refused("other programs")),
        (
            &["define registry:temporary-path={secret}"],
            Refused("shared by the whole process"),
        ),
        (
            &["set registry:temporary-path {secret}"],
            Refused("shared by the whole process"),
        ),
        (
            &["set '8BIM:1999,2998:#1' {secret}/a.png"],
            Refused("as an image of any format"),
        ),
        (
            &["set '%[a]:temporary-path' {secret}"],
            Refused("would let the image choose"),
        ),
        (
            &[
                "set filename:a {secret}/new",
                "define filename:literal=true",
            ],
            Harmless,
        ),
        (&["set filename {secret}/new.png"], Harmless),
        (
            &["set magick MSL", "set filename msl:{secret}/a.msl"],
            Harmless,
        ),
        (&["define montage:background={secret}/a.png"], Harmless),
        (
            &[
                "define svg:xml-parse-huge=true",
                "define tiff:alpha={secret}/a.png",
            ],
            Harmless,
        ),
        (
            &["define url:allow=true", "define temporary-path={secret}"],
            Harmless,
        ),
        (
            &[
                "define cache:synchronize=true",
                "define cache:path={secret}/cache",
            ],
            Harmless,
        ),
        (&["define preserve-timestamp=true", "synchronize"], Harmless),
        // Files that are written.
        (&["write {secret}/new.png"], Refused("it writes a file")),
        (&["+write {secret}/new.png"], Refused("it writes a file")),
        (&["write mpr:a"], Refused("it writes a file")),
        (
            &["write ephemeral:{secret}/a.txt"],
            Refused("it writes a file"),
        ),
        (&["path {secret}"], Refused("other programs")),
        (&["log {secret}/new"], Refused("whole process")),
        (&["script {secret}/a.txt"], Refused("refused")),
        (&["process {secret}/a.so"], Refused("it runs code")),
        (&["process convert"], Refused("it runs code")),
        (
            &["process '../../{secret}/a.so=1'"],
            Refused("it runs code"),
        ),
        (&["ordered-dither {secret}/a.xml"], Harmless),
        (&["ordered-dither {up}/a"], Harmless),
    ];
    for (operations, comes) in table {
        stage.operations(operations, *comes).await;
    }
    stage.close().await;
}

/// ImageMagick opens files, runs programs, shares memory and asks the network by what stands before a colon.
#[tokio::test(flavor = "multi_thread")]
async fn no_prefix_reaches_outside() {
    let mut stage = Stage::open(&[]);
    let refused = [
        "-",
        "@{secret}/a.txt",
        "a.png",
        "{secret}/a.png",
        "8bimtext:{secret}/a.txt",
        "caption:@{secret}/a.txt",
        "clip:{secret}/a.png",
        "clipboard:",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "dcraw:{secret}/a.png",
        "dot:{secret}/a.txt",
        "dps:{secret}/a.txt",
        "ephemeral:{secret}/a.txt",
        "exif:{secret}/a.txt",
        "fd:0",
        "file:{secret}/a.png",
        "fractal:{secret}/a.txt",
        "ftp://127.0.0.1:{port}/a.png",
        "gradient:@{secret}/a.txt",
        "histogram:{secret}/a.png",
        "http:127.0.0.1:{port}/a.png",
        "icc:{secret}/a.icc",
        "info:{secret}/new",
        "inline:data:;base64,PHN2Zy8+",
        "inline:{secret}/a.txt",
        "iptctext:{secret}/a.txt",
        "label:@{secret}/a.txt",
        "LABEL:@{secret}/a.txt",
        "magick:rose",
        "map:{secret}/a.png",
        "mpc:{secret}/a",
        "mpr:a",
        "mpri:a",
        "msl:{secret}/a.msl",
        "msvg:{secret}/a.svg",
        "mvg:{secret}/a.mvg",
        "ora:{secret}/a.png",
        "pango:@{secret}/a.txt",
        "png:{secret}/a.png",
        "pdf:{secret}/a.txt",
        "ps:{secret}/a.txt",
        "rsvg:{secret}/a.svg",
        "screenshot:",
        "shtml:{secret}/a.txt",
        "show:",
        "stegano:{secret}/a.png",
        "svg:{secret}/a.svg",
        "text:{secret}/a.txt",
        "tile:{secret}/a.png",
        "ttf:{secret}/a.ttf",
        "txt:{secret}/a.txt",
        "uil:{secret}/new",
        "url:http://127.0.0.1:{port}/a.png",
        "vid:{secret}/a.png",
        "vid:{secret}/*.png",
        "video:{secret}/a.png",
        "win:root",
        "x:root",
        "xps:{secret}/a.txt",
        "xc:@{secret}/a.txt",
        "pattern:@{secret}/a.png",
        "pipe:|id",
        "|id > {secret}/new",
        "php://filter/resource={secret}/a.txt",
        "gopher://127.0.0.1:{port}/_a",
        "jar:file://{secret}/a.png",
        "memory://b/a.png",
        "smb://127.0.0.1:{port}/a.png",
    ];
    for prefix in refused {
        let infile = json!({"infile": prefix, "outfile": "file://{root}/out/{n}.png"});
        stage.action(&infile, Refused("")).await;
        // Words of a string are split at blanks, and a quote would be one.
        let read = format!("read '{prefix}'");
        stage.operations(&[&read], Refused("")).await;
    }
    let drawn = [
        "label:%[filename:a] {secret}/a.txt",
        "label:\\@{secret}/a.txt",
        "caption:&#64;{secret}/a.txt",
        "pango:<span font='{secret}/a.ttf'>x</span>",
        "pango:<img src='file://{secret}/a.png'/>x",
        "pattern:{secret}/a.png",
        "pattern:../../..{secret}/a.png",
        "canvas:url({secret}/a.png)",
        "xc:{secret}/a.png",
        "xc:http://127.0.0.1:{port}/a.png",
        "gradient:{secret}/a.png",
        "plasma:fractal{secret}/a.png",
        "hald:{secret}/a.png",
        "null:{secret}/a.png",
        "rose:{secret}/a.png",
        "logo:http://127.0.0.1:{port}/a.png",
        "netscape:@{secret}/a.png",
    ];
    for generator in drawn {
        let comes = if generator.starts_with("netscape:@") {
            Refused("")
        } else {
            Harmless
        };
        let infile = json!({"infile": generator, "outfile": "file://{root}/out/{n}.png"});
        stage.action(&infile, comes).await;
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_result_goes_elsewhere() {
    let mut stage = Stage::open(&[]);
    let table = [
        ("{secret}/new.png", Refused("expected a URL")),
        ("{up}/new.png", Refused("expected a URL")),
        ("-", Refused("expected a URL")),
        ("png:-", Refused("expected a URL")),
        ("fd:1", Refused("expected a URL")),
        ("mpr:a", Refused("expected a URL")),
        ("x:", Refused("expected a URL")),
        ("show:", Refused("expected a URL")),
        ("clipboard:", Refused("expected a URL")),
        ("ephemeral:{secret}/a.txt", Refused("expected a URL")),
        ("msl:file://{root}/out/a.png", Refused("MSL")),
        ("mvg:file://{root}/out/a.mvg", Refused("MVG")),
        (
            "ephemeral:file://{root}/in.png",
            Refused("no image format `ephemeral`"),
        ),
        ("inline:file://{root}/out/a.png", Refused("INLINE")),
        ("info:file://{root}/out/a.png", Refused("INFO")),
        ("html:file://{root}/out/a.png", Refused("HTML")),
        ("x:file://{root}/out/a.png", Refused("no image format `x`")),
        ("mpr:file://{root}/out/a.png", Refused("MPR")),
        ("mpc:file://{root}/out/a.png", Refused("MPC")),
        (
            "fd:file://{root}/out/a.png",
            Refused("no image format `fd`"),
        ),
        ("ps:file://{root}/out/a.png", Refused("PS")),
        ("mp4:file://{root}/out/a.png", Refused("MP4")),
        ("file://{root}/out/a.msl", Refused("MSL")),
        ("file://{root}/out/a.mpc", Refused("MPC")),
        ("file://{root}/out/a.html", Refused("HTML")),
        ("file://{root}/out/a.svg", Refused("SVG")),
        (
            "file://{secret}/new.png",
            Refused("does not lie below a folder"),
        ),
        (
            "file://{root}/../secret/new.png",
            Refused("does not lie below a folder"),
        ),
        (
            "http://127.0.0.1:{port}/a.png",
            Refused("no public address"),
        ),
        (
            "png:http://127.0.0.1:{port}/a.png",
            Refused("no public address"),
        ),
    ];
    for (outfile, comes) in table {
        let action = json!({"infile": "file://{root}/in.png", "outfile": outfile});
        stage.action(&action, comes).await;
    }
    // The number of an image, which the chain chooses, must not lead out of what is allowed.
    let numbered = json!({
        "infile": "file://{root}/in.png",
        "outfile": "file://{root}/%d/../../../secret/new.png",
        "operations": ["scene 7"],
    });
    stage
        .action(&numbered, Refused("does not lie below a folder"))
        .await;
    stage.close().await;
}

/// The witnesses would see it: here the secrets are what the server may read.
#[tokio::test(flavor = "multi_thread")]
async fn the_witnesses_see() {
    let mut stage = Stage::open(&[]);
    let link = stage.root().join("link");
    std::fs::hard_link(stage.root().join("../secret/a.png"), &link).unwrap();
    let touch = |infile: &str| json!({"infile": infile, "outfile": "file://{root}/out/{n}.json"});
    stage.action(&touch("file://{root}/link"), Harmless).await;
    assert_eq!(stage.seen(), 1, "the secret was in the result");
    stage
        .action(&touch("http://127.0.0.1:{port}/"), Harmless)
        .await;
    assert_eq!(stage.seen(), 1, "the port was connected to");
    std::fs::write(stage.root().join("../secret/new"), "").unwrap();
    stage.look("a file was made", &json!(null));
    assert_eq!(stage.seen(), 1, "the secrets were touched");
    stage.close().await;
}
