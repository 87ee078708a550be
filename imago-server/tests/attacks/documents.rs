//! Images that name files, hosts and programs: formats that are little languages, and those that carry names.

use std::fmt::Write as _;

use serde_json::json;
use testkit::images;

use crate::stage::Comes::{self, Done, Fails, Harmless, Whatever};
use crate::stage::Stage;
use crate::wire;

const SVG: &str = r#"xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:xi="http://www.w3.org/2001/XInclude" width="9" height="9""#;

#[tokio::test(flavor = "multi_thread")]
async fn no_svg_names_anything_outside() {
    let mut stage = Stage::open(&[]);
    let refers = Fails("refers to `");
    let contents: &[(&str, Comes)] = &[
        (
            r#"<image href="file://{secret}/a.png" width="9" height="9"/>"#,
            refers,
        ),
        (
            r#"<image href="{secret}/a.png" width="9" height="9"/>"#,
            refers,
        ),
        (r#"<image href="{up}/a.png" width="9" height="9"/>"#, refers),
        (
            r#"<image xlink:href="file://{secret}/a.svg" width="9" height="9"/>"#,
            refers,
        ),
        (
            r#"<image href=" &#9;file://{secret}/a.png" width="9" height="9"/>"#,
            refers,
        ),
        (
            r#"<image href="&#102;ile://{secret}/a.png" width="9" height="9"/>"#,
            refers,
        ),
        (
            r#"<image href="http://127.0.0.1:{port}/a.png" width="9" height="9"/>"#,
            refers,
        ),
        (
            r#"<image href="//127.0.0.1:{port}/a.png" width="9" height="9"/>"#,
            refers,
        ),
        (
            r#"<image href="https://127.0.0.1:{port}/a.png" width="9" height="9"/>"#,
            refers,
        ),
        (
            r#"<IMAGE HREF="file://{secret}/a.png" width="9" height="9"/>"#,
            Harmless,
        ),
        (r#"<feImage href="file://{secret}/a.png"/>"#, refers),
        (
            r#"<filter id="f"><feImage xlink:href="{secret}/a.svg#a"/></filter><rect width="9" height="9" filter="url(#f)"/>"#,
            refers,
        ),
        (r#"<use href="file://{secret}/a.svg#a"/>"#, refers),
        (r#"<use xlink:href="{up}/a.svg#a"/>"#, refers),
        (
            r#"<rect width="9" height="9" fill="url(file://{secret}/a.svg#a)"/>"#,
            refers,
        ),
        (
            r#"<rect width="9" height="9" style="fill:url('{secret}/a.svg#a')"/>"#,
            refers,
        ),
        (
            r#"<rect width="9" height="9" style="fill:URL(file://{secret}/a.svg#a)"/>"#,
            Harmless,
        ),
        (
            r#"<rect width="9" height="9" style="fill:u\72l(file://{secret}/a.svg#a)"/>"#,
            Harmless,
        ),
        (
            r#"<rect width="9" height="9" style="fill:url(file:\2f\2f {secret}/a.svg#a)"/>"#,
            refers,
        ),
        (
            r#"<rect width="9" height="9" mask="url({secret}/a.svg#a)"/>"#,
            refers,
        ),
        (
            r#"<rect width="9" height="9" marker-end="url({secret}/a.svg#a)"/>"#,
            refers,
        ),
        (
            r#"<rect width="9" height="9" clip-path="url({secret}/a.svg#a)"/>"#,
            refers,
        ),
        (
            r#"<style>@import "file://{secret}/a.css";</style>"#,
            Fails("imports a style sheet"),
        ),
        (
            r"<style>@\69mport 'file://{secret}/a.css';</style>",
            Harmless,
        ),
        (r"<style>@IMPORT 'file://{secret}/a.css';</style>", Harmless),
        (r"<style>@/**/import url({secret}/a.css);</style>", refers),
        (
            r"<style><![CDATA[@import url(http://127.0.0.1:{port}/a.css);]]></style>",
            Fails("imports a style sheet"),
        ),
        (
            r"<style>@font-face { font-family: a; src: url(file://{secret}/a.ttf) } text { font-family: a }</style><text y='9'>x</text>",
            refers,
        ),
        (
            r#"<text y="9" font-family="{secret}/a.ttf">x</text>"#,
            Harmless,
        ),
        (
            r#"<xi:include href="file://{secret}/a.xml"/>"#,
            Fails("includes another document"),
        ),
        (
            r#"<text><xi:include href="file://{secret}/a.txt" parse="text"/></text>"#,
            Fails("includes another document"),
        ),
        (r#"<tref href="file://{secret}/a.svg#a"/>"#, refers),
        (r#"<script href="file://{secret}/a.txt"/>"#, refers),
        (
            r#"<script>fetch("http://127.0.0.1:{port}/")</script>"#,
            Harmless,
        ),
        (
            r#"<foreignObject><iframe src="file://{secret}/a.txt"/></foreignObject>"#,
            refers,
        ),
        (
            r#"<a href="http://127.0.0.1:{port}/"><rect width="9" height="9"/></a>"#,
            Harmless,
        ),
        (
            r#"<g xml:base="file://{secret}/"><image href="a.png" width="9" height="9"/></g>"#,
            refers,
        ),
        (
            r#"<image href="data:image/svg+xml,&lt;svg xmlns='http://www.w3.org/2000/svg'&gt;&lt;image href='file://{secret}/a.png'/&gt;&lt;/svg&gt;" width="9" height="9"/>"#,
            Harmless,
        ),
        (
            r#"<image href="data:text/plain,file://{secret}/a.png" width="9" height="9"/>"#,
            Harmless,
        ),
    ];
    for (index, (content, comes)) in contents.iter().enumerate() {
        let document = format!(r#"<?xml version="1.0"?><svg {SVG}>{content}</svg>"#);
        run(&mut stage, &format!("{index}.svg"), &document, *comes).await;
    }
    let entity = Fails("declares an entity");
    let documents: &[(&str, Comes)] = &[
        (
            r#"<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a SYSTEM "file://{secret}/a.txt">]><svg {svg}><text y="9">&a;</text></svg>"#,
            entity,
        ),
        (
            r#"<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a PUBLIC "x" "file://{secret}/a.txt">]><svg {svg}><text y="9">&a;</text></svg>"#,
            entity,
        ),
        (
            r#"<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY % a SYSTEM "http://127.0.0.1:{port}/a.dtd">%a;]><svg {svg}/>"#,
            entity,
        ),
        (
            r#"<?xml version="1.0"?><!DOCTYPE svg SYSTEM "http://127.0.0.1:{port}/a.dtd"><svg {svg}/>"#,
            Harmless,
        ),
        (
            r#"<?xml version="1.0"?><!DOCTYPE svg SYSTEM "file://{secret}/a.xml"><svg {svg}>&a;</svg>"#,
            Harmless,
        ),
        (
            r#"<?xml-stylesheet href="file://{secret}/a.css"?><svg {svg}/>"#,
            Fails("names a style sheet"),
        ),
        (
            r#"<?xml version="1.0"?><?xml-stylesheet type="text/css" href="http://127.0.0.1:{port}/a.css"?><svg {svg}/>"#,
            Fails("names a style sheet"),
        ),
        (
            r#"<svg:svg xmlns:svg="http://www.w3.org/2000/svg" width="9" height="9"><svg:image href="file://{secret}/a.png"/></svg:svg>"#,
            Harmless,
        ),
    ];
    for (index, (document, comes)) in documents.iter().enumerate() {
        let document = document.replace("{svg}", SVG);
        run(&mut stage, &format!("d{index}.svg"), &document, *comes).await;
    }
    // In another encoding, in which the check that stands before the renderer might not see the names.
    let document = stage.fill(&format!(
        r#"<?xml version="1.0" encoding="UTF-16"?><svg {SVG}><image href="file://{{secret}}/a.png" width="9" height="9"/></svg>"#
    ));
    let wide: Vec<u8> = [0xFEFF]
        .into_iter()
        .chain(document.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    run(&mut stage, "wide.svg", wide, Harmless).await;
    let seven = document.replace("UTF-16", "UTF-7").replace('<', "+ADw-");
    run(&mut stage, "seven.svg", seven, Harmless).await;
    stage.close().await;
}

/// Formats that are programs or lists of files are not read, whatever they are called.
#[tokio::test(flavor = "multi_thread")]
async fn no_script_runs() {
    let mut stage = Stage::open(&[]);
    let not_read = Fails("which is not read here");
    let unknown = Fails("no image of a known format");
    let mvg = "push graphic-context\nviewbox 0 0 9 9\nimage Over 0,0 0,0 '{secret}/a.png'\npop graphic-context\n";
    let msl = r#"<?xml version="1.0"?><image><read filename="{secret}/a.png"/><write filename="{secret}/new.png"/></image>"#;
    let table: &[(&str, &str, Comes)] = &[
        ("a.mvg", mvg, unknown),
        ("a.png", mvg, unknown),
        ("a.msl", msl, Fails("")),
        ("a.svg", msl, Fails("")),
        (
            "b.msl",
            "<image><read filename=\"{secret}/a.png\"/></image>",
            unknown,
        ),
        (
            "a.mpc",
            "id=MagickPixelCache\nclass=DirectClass columns=9 rows=9 depth=16\n\x0c\n:\x1a{secret}/a\0",
            Fails(""),
        ),
        ("a.txt", "{secret}/a.txt", unknown),
        (
            "b.txt",
            "# ImageMagick pixel enumeration: 1,1,255,srgb\n0,0: (1,1,1)\n",
            not_read,
        ),
        ("c.txt", "@{secret}/a.txt", unknown),
        (
            "a.html",
            "<html><img src='file://{secret}/a.png'></html>",
            Fails(""),
        ),
        ("a.vid", "{secret}/a.png", unknown),
        ("a.dot", "digraph { a [image=\"{secret}/a.png\"] }", unknown),
        (
            "a.ps",
            "%!PS-Adobe-3.0\n(%pipe%id) (r) file\n({secret}/a.txt) run showpage\n",
            not_read,
        ),
        (
            "a.eps",
            "%!PS-Adobe-3.0 EPSF-3.0\n({secret}/a.txt) run\n",
            not_read,
        ),
        ("a.jpg", "%!PS\n({secret}/a.txt) run\n", not_read),
        (
            "a.pdf",
            "%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n",
            not_read,
        ),
        ("a.ai", "%!PS-Adobe-3.0\n({secret}/a.txt) run\n", not_read),
        ("a.xps", "PK\x03\x04FixedDocument", Fails("")),
        ("a.ora", "PK\x03\x04mimetypeimage/openraster", Fails("")),
        (
            "a.fig",
            "#FIG 3.2\n2 5 0 1 0\n0 {secret}/a.png\n",
            Fails(""),
        ),
        ("a.hpgl", "IN;SP1;PU0,0;", Fails("")),
        (
            "a.xml",
            "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file://{secret}/a.txt\">]><a>&b;</a>",
            Fails(""),
        ),
        (
            "a.m3u8",
            "#EXTM3U\n#EXTINF:1,\nfile://{secret}/a.txt\n",
            unknown,
        ),
        ("a.avi", "RIFF\x10\0\0\0AVI LIST", Fails("")),
        ("a.mp4", "\0\0\0\x18ftypisom\0\0\0\0isomiso2", Fails("")),
        ("a.ttf", "\0\x01\0\0\0\x01\0\0", Fails("")),
        ("a.pfa", "%!PS-AdobeFont-1.0: a\n", Fails("")),
        ("a.cfg", "push graphic-context\n", unknown),
        (
            "a.yaml",
            "---\n- version: 1.0\n  image: {secret}/a.png\n",
            Fails(""),
        ),
        ("a.8bim", "8BIM#{secret}/a.txt\n", Fails("")),
        (
            "a.json",
            "[{\"version\":\"1.0\",\"image\":{\"name\":\"{secret}/a.png\"}}]",
            Fails(""),
        ),
        ("a.sh", "#!/bin/sh\ncat {secret}/a.txt\n", unknown),
    ];
    for (name, document, comes) in table {
        run(&mut stage, name, document, *comes).await;
    }
    stage.close().await;
}

/// Pictures whose properties are names: what a chain puts in for a percent escape is the picture's word, not the user's.
#[tokio::test(flavor = "multi_thread")]
async fn no_property_becomes_a_name() {
    let mut stage = Stage::open(&[]);
    for (index, property) in [
        "@{secret}/a.txt",
        "{secret}/a.png",
        "image Over 0,0 0,0 {secret}/a.png",
        "msl:{secret}/a.msl",
        "text:{secret}/a.txt",
        "http://127.0.0.1:{port}/a.png",
        "%[filename:x]@{secret}/a.txt",
        "registry:temporary-path",
    ]
    .iter()
    .enumerate()
    {
        let text = stage.fill(property);
        let arguments = [
            "ppm:-", "-set", "comment", &text, "-set", "label", &text, "-set", "a", &text, "png:-",
        ];
        // ImageMagick itself reads a file for `@`; an escape of it doesn't.
        let arguments = arguments.map(|word| word.replace('@', "\\@"));
        let picture = images::magick_with(&arguments, &images::photo(12, 12)).stdout;
        let url = stage.put(&format!("p{index}.png"), picture);
        for operation in [
            "annotate 0 %c",
            "annotate 0 '%[a]'",
            "draw 'text 0,9 \"%c\"'",
            "draw %c",
            "draw '%[a]'",
            "fill %c",
            "font %c annotate 0 x",
            "family %c annotate 0 x",
            "tile %c",
            "set label %l polaroid 0",
            "set a %c print '%[a]'",
            "set option:font %c annotate 0 x",
            "set filename:f %c",
            "set page %c",
            "set profile:icc %c",
            "define font=%c annotate 0 x",
            "morphology Dilate %c",
            "convolve %c",
            "distort SRT %c",
            "fx %c",
            "ordered-dither %c",
            "print %c identify",
            "format %c identify",
            "read label:%c",
            "read caption:%c",
            "read pango:%c",
            "read xc:%c",
            "read pattern:%c",
        ] {
            let action = json!({
                "infile": url,
                "outfile": "file://{root}/out/{n}.png",
                "operations": [operation],
            });
            stage.action(&action, Whatever).await;
        }
    }
    stage.close().await;
}

/// Ghostscript is a program, and where it may run it has the machine's files before it.
#[tokio::test(flavor = "multi_thread")]
async fn no_page_reads_or_writes_a_file() {
    let mut stage = Stage::open(&["--ghostscript"]);
    let actions = [
        "({secret}/a.txt) run",
        "({secret}/a.txt) (r) file dup 100 string readstring pop = closefile",
        "(%pipe%cat {secret}/a.txt) (r) file",
        "(%pipe%id > {secret}/new) (w) file",
        "({secret}/new) (w) file dup (x) writestring closefile",
        "({secret}/a.txt) deletefile",
        "({secret}/a.txt) ({secret}/b.txt) renamefile",
        // It looks into a folder that it may not see, and finds nothing.
        "(/etc/*) { pop (a file is found) =undefined } 256 string filenameforall",
        "({secret}/a.ttf) findfont pop",
        "({secret}/a.txt) findlibfile",
        "(x) ({secret}/a.txt) .libfile",
        "/Font ({secret}/a.ttf) findresource pop",
        "systemdict /SAFER false put ({secret}/a.txt) run",
        "<< /OutputFile ({secret}/new) >> setpagedevice showpage",
        "<< /OutputDevice /ppmraw /OutputFile (%pipe%id > {secret}/new) >> setpagedevice showpage",
        "mark /OutputFile ({secret}/new) currentdevice putdeviceprops pop showpage",
        "{ legal } stopped pop restore << /OutputFile (%pipe%id) >> setpagedevice",
        ".setsafe /SAFER .locksafe ({secret}/a.txt) run",
        "(%statementedit%) (r) file pop",
        "<< /PermitFileReading [({secret}/*)] >> setuserparams ({secret}/a.txt) run",
        "(a) getenv { = } if (HOME) getenv { = } if",
    ];
    for (index, program) in actions.iter().enumerate() {
        let document = format!(
            "%!PS-Adobe-3.0\n%%BoundingBox: 0 0 20 20\n<< /PageSize [20 20] >> setpagedevice\n{program}\nshowpage\n"
        );
        let comes = if program.contains("filenameforall") {
            Done
        } else {
            Harmless
        };
        run(&mut stage, &format!("{index}.ps"), &document, comes).await;
    }
    let objects = [
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>",
        "<</Length 0/F({secret}/a.txt)>>stream\nendstream",
    ];
    let mut pdf = String::from(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/Launch/F({secret}/a.txt)>>>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n",
    );
    for (number, object) in objects.iter().enumerate() {
        writeln!(pdf, "{} 0 obj{object}endobj", number + 3).unwrap();
    }
    pdf.push_str("trailer<</Root 1 0 R>>\n%%EOF\n");
    run(&mut stage, "a.pdf", &pdf, Harmless).await;
    stage.close().await;
}

/// Converts a document, and has it described, too.
async fn run(stage: &mut Stage, name: &str, document: impl AsRef<[u8]>, comes: Comes) {
    let document = document.as_ref();
    let bytes = match std::str::from_utf8(document) {
        Ok(text) => stage.fill(text).into_bytes(),
        Err(_) => document.to_vec(),
    };
    let url = stage.put(name, &bytes);
    let action = json!({"infile": url, "outfile": "file://{root}/out/{n}.png", "operations": ["resize 20x20"]});
    stage.action(&action, comes).await;
    let mut request = format!(
        "POST /api/v1/identify HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        bytes.len()
    )
    .into_bytes();
    request.extend(bytes);
    let answer = wire::exchange(stage.service.address.parse().unwrap(), &request).await;
    assert!(
        matches!(wire::statuses(&answer)[..], [200 | 422]),
        "{name}: {answer}"
    );
    stage.look(&format!("{name} is described"), &json!(answer));
}
