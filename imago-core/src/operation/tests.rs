use super::*;

#[test]
fn strings_become_steps_in_canonical_form() {
    let table = [
        ("resize 200X200", "-resize 200X200"),
        ("-resize 200x200", "-resize 200x200"),
        ("RESIZE 50%", "-resize '50%'"),
        ("+repage", "+repage"),
        (
            "gravity center -extent 200x200",
            "-gravity center -extent 200x200",
        ),
        ("fill #fff", "-fill '#fff'"),
        (
            "annotate +10+20 'two words'",
            "-annotate +10+20 'two words'",
        ),
        (r#"annotate 0 "it's""#, r"-annotate 0 'it'\''s'"),
        ("( +clone -negate ) +append", "( +clone -negate ) +append"),
        (r"\( +clone \) -append", "( +clone ) -append"),
        ("quality\t80\n strip", "-quality 80 -strip"),
        ("evaluate Multiply -1", "-evaluate Multiply -1"),
        ("crop %[fx:w/2]x%h+0+0", "-crop '%[fx:w/2]x%h+0+0'"),
        (
            "draw \"text 10,10 'my image'\"",
            r"-draw 'text 10,10 '\''my image'\'''",
        ),
        ("set option:filter:blur 1.1", "-set option:filter:blur 1.1"),
        ("define jpeg:extent=100kb", "-define 'jpeg:extent=100kb'"),
        (
            "fill none stroke rgb(1,2,3)",
            "-fill none -stroke 'rgb(1,2,3)'",
        ),
    ];
    for (input, expected) in table {
        let pipeline: Pipeline = input
            .parse()
            .unwrap_or_else(|error| panic!("{input}: {error}"));
        assert_eq!(pipeline.to_string(), expected, "{input}");
        let again: Pipeline = pipeline.to_string().parse().expect(expected);
        assert_eq!(again, pipeline, "{input}");
    }
}

/// Operation strings that can't run, with what their errors must say.
const WRONG: &[(&str, &str)] = &[
    ("", "is empty"),
    ("   ", "is empty"),
    ("resze 200x200", "did you mean `resize`?"),
    ("+resize 200x200", "`+resize` is refused"),
    ("200x200", "there is no operation `200x200`"),
    ("frobnicate", "there is no operation `frobnicate`"),
    ("+strip", "is refused"),
    (
        "resize",
        "takes 1 argument, but none is given; example: `resize 200x200`",
    ),
    ("annotate +1+1", "takes 2 arguments, but only 1 is given"),
    (
        "resize foo",
        "takes a geometry such as `resize 200x200`, but `foo` is none",
    ),
    ("crop ''", "takes a geometry"),
    ("extent red", "takes a geometry"),
    ("resize 200x200 50x50", "there is no operation `50x50`"),
    ("annotate 0 'open", "a quote that is not closed"),
    ("(", "`(` is not closed"),
    (") +clone", "`)` closes a parenthesis that was not opened"),
    ("fill notacolour", "takes a colour such as `fill red`"),
    ("fill logo.png", "takes a colour"),
    ("quality 80\0", "NUL"),
    // Files.
    ("write x.png", "it writes a file"),
    ("-write x.png", "it writes a file"),
    ("+write x.png", "it writes a file"),
    ("annotate 0 @/etc/passwd", "`@` reads a file"),
    ("set comment @/etc/passwd", "`@` reads a file"),
    ("label @/etc/passwd", "`@` reads a file"),
    ("fx @/etc/passwd", "`@` reads a file"),
    ("morphology Dilate @kernel", "`@` reads a file"),
    ("draw @/etc/passwd", "`@` reads a file"),
    ("-texture x.png", "it reads a file"),
    ("mask x.png", "is refused"),
    ("set profile x.icc", "it names a file"),
    ("define jpeg:quantization-table=x.xml", "it names a file"),
    (
        "set option:jpeg:quantization-table x.xml",
        "it names a file",
    ),
    ("font /etc/passwd", "names a file"),
    ("font @/etc/passwd", "`@` reads a file"),
    ("font ../x.ttf", "names a file"),
    (
        "draw 'image Over 0,0 0,0 \"/etc/passwd\"'",
        "its primitive `image`",
    ),
    ("draw 'IMAGE Over 0,0 0,0 x'", "its primitive `image`"),
    ("draw '\"image\" Over 0,0 0,0 x'", "its primitive `image`"),
    (
        "draw 'rectangle 0,0 9,9image Over 0,0 0,0 x'",
        "its primitive `image`",
    ),
    ("draw 'font @/etc/passwd text 0,0 x'", "no font's name"),
    ("draw 'font \"/etc/passwd\" text 0,0 x'", "no font's name"),
    // The process.
    ("limit memory 1", "it changes the whole process"),
    ("seed 1", "it changes the whole process"),
    ("debug all", "it changes the whole process"),
    ("log x", "it changes the whole process"),
    ("quiet", "it changes the whole process"),
    ("precision 3", "it changes the whole process"),
    (
        "define registry:temporary-path=/x",
        "shared by the whole process",
    ),
    ("define Registry:x=y", "shared by the whole process"),
    ("set registry:x y", "shared by the whole process"),
    ("set '%c' y", "would let the image choose"),
    ("process 'analyze'", "it runs code"),
    // The terminal.
    ("list format", "prints"),
    ("display x", "needs a screen"),
    // Scripts and other programs.
    ("script x", "refused"),
    ("exit", "refused"),
    ("{", "refused"),
    ("-- x", "refused"),
    ("window x", "other programs"),
];

#[test]
fn wrong_strings_are_refused_with_the_reason() {
    for (input, expected) in WRONG {
        let error = input
            .parse::<Pipeline>()
            .map(|pipeline| pipeline.to_string())
            .expect_err(input);
        assert_eq!(error.kind(), ErrorKind::InvalidOperation, "{input}");
        assert!(
            error.to_string().contains(expected),
            "`{input}`: expected `…{expected}…`, got `{error}`"
        );
    }
}

#[test]
fn every_wrong_string_of_several_is_reported_with_its_place() {
    let errors = Pipeline::from_operations(&["resze 1x1", "strip", "crop"])
        .expect_err("two strings are wrong");
    let pointers: Vec<_> = errors.iter().map(Error::pointer).collect();
    assert_eq!(pointers, ["/0", "/2"]);
}

#[test]
fn parentheses_match_over_several_strings() {
    let pipeline = Pipeline::from_operations(&["( +clone", "-negate )", "+append"]);
    assert!(pipeline.is_ok(), "{pipeline:?}");
    let error = Pipeline::from_operations(&["(", "+clone"]).expect_err("one is open");
    assert_eq!(error.len(), 1);
}

#[test]
fn the_catalogue_is_imagemagicks_table() {
    let all: Vec<_> = operations().collect();
    assert!(all.len() > 400, "only {} forms", all.len());
    for name in ["-resize", "+repage", "(", "-annotate"] {
        let found = all.iter().filter(|info| info.option() == name).count();
        assert_eq!(found, 1, "{name}");
    }
}

#[test]
fn every_refusal_names_an_option_that_there_is() {
    for name in catalogue::refused_names() {
        assert!(
            operations().any(|info| info.option() == name || info.name() == name),
            "`{name}` is refused and no option"
        );
    }
}

#[test]
fn every_example_can_run() {
    for info in operations().filter(|info| info.refused().is_none()) {
        if catalogue::has_example(info.name()) && info.option().starts_with('-') {
            let example = catalogue::example(info);
            assert!(example.parse::<Pipeline>().is_ok(), "{example}");
        }
    }
}
