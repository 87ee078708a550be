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
    ("resize 10,20", "takes a geometry"),
    (
        "blur foo",
        "`blur` takes a radius, or a radius and sigma, such as `blur 0x2`, but `foo` is none",
    ),
    ("rotate x90", "takes an angle"),
    ("colors foo", "takes a number"),
    ("colors 0", "takes a number"),
    (
        "compose Multply",
        "`compose` takes one of ImageMagick's compose operators such as `compose Multiply`, but `Multply` is none; did you mean `Multiply`? there are ",
    ),
    ("gravity middle", "takes one of ImageMagick's gravities"),
    ("gravity middle", "there are None, Center, East"),
    ("compose x", " more"),
    ("dither foo", "there are None, FloydSteinberg, Riemersma"),
    (
        "+noise gausian",
        "`+noise` takes one of ImageMagick's sorts of noise such as `+noise Gaussian`, but `gausian` is none; did you mean `Gaussian`?",
    ),
    (
        "evaluate Multiply foo",
        "takes a number or percentage as its second argument such as `evaluate Multiply 0.5`",
    ),
    ("evaluate Mulitply 2", "did you mean `Multiply`?"),
    ("morphology Dilat Disk", "did you mean `Dilate`?"),
    ("morphology Dilate Dosk", "takes a kernel"),
    ("convolve 1,2,3", "takes a kernel"),
    ("channel foo", "takes channels"),
    ("distort SRT foo", "takes numbers with commas between"),
    ("background notacolour", "takes a colour"),
    ("delete x", "takes numbers of images"),
    (
        "layers Undefined",
        "takes one of ImageMagick's layer methods",
    ),
    ("clahe 10x10+1", "can end the whole process"),
    ("kmeans -1", "may not come to an end"),
    ("rotational-blur -1", "may not come to an end"),
    ("subimage", "can end the whole process"),
    ("+tile", "can end the whole process"),
    ("gaussian 3", "use `-gaussian-blur`"),
    ("blend 50", "use `-compose Blend"),
    ("+monitor", "stop"),
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
    ("delete registry:x", "shared by the whole process"),
    ("define jpeg:q-table=x.xml", "it names a file"),
    ("set 8BIM:1999,2998:#1 x", "as an image of any format"),
    ("set option:filter:verbose 1", "prints"),
    ("define verbose=true", "prints"),
    ("process 'analyze'", "it runs code"),
    // The terminal.
    ("list format", "prints"),
    ("display x", "needs a screen"),
    // Scripts and other programs.
    ("script x", "refused"),
    ("exit", "refused"),
    ("{", "`{` is not closed"),
    ("}", "`}` closes a brace that was not opened"),
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
fn every_name_has_a_row_and_every_row_a_name() {
    let differences = catalogue::differences();
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn rows_are_in_order_and_once() {
    let names: Vec<_> = table::ROWS.iter().map(|row| row.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    let mut listed = names.clone();
    listed.sort_unstable();
    assert_eq!(listed, sorted, "a name has two rows");
}

#[test]
fn every_row_says_what_it_does() {
    for row in table::ROWS {
        assert!(row.summary.len() > 5, "{}", row.name);
        assert!(!row.summary.ends_with('.'), "{}", row.name);
        for refusal in row.refusals {
            assert!(!refusal.reason.is_empty(), "{}", row.name);
        }
    }
}

#[test]
fn every_form_has_as_many_kinds_as_arguments() {
    for entry in catalogue::entries() {
        if entry.refused.is_none() {
            assert_eq!(entry.specs().len(), entry.arity, "{}", entry.option);
        }
    }
}

#[test]
fn kinds_agree_with_imagemagicks_flags() {
    use crate::engine::magick::options::{all, flag};
    for raw in all() {
        let info = operations()
            .find(|info| info.option() == raw.option)
            .expect("every option is in the catalogue");
        if info.refused().is_some() {
            continue;
        }
        let has = |bits| raw.flags & bits != 0;
        let agrees = match info.kind() {
            OperationKind::Setting => has(flag::SETTING) || info.name() == "set",
            // `+fx`, `+map` and such are of the other kind than their other form.
            OperationKind::Operator | OperationKind::ListOperator => {
                has(flag::LIST_OPERATOR | flag::SIMPLE_OPERATOR)
            }
            OperationKind::Stack | OperationKind::Input | OperationKind::Command => {
                !has(flag::SETTING | flag::SIMPLE_OPERATOR)
            }
        };
        assert!(agrees, "{}: {:?}", raw.option, info.kind());
    }
}

#[test]
fn every_example_can_run() {
    for info in operations().filter(|info| info.refused().is_none()) {
        let example = match info.option() {
            "(" | "{" => continue,
            ")" => "( )".to_owned(),
            "}" => "{ }".to_owned(),
            _ => info.example(),
        };
        assert!(!example.contains("ARGUMENT"), "{example}");
        if let Err(error) = example.parse::<Pipeline>() {
            panic!("{example}: {error}");
        }
    }
}

/// What this version of ImageMagick has and another may not: a name without a row works by ImageMagick's table alone.
#[test]
fn what_is_used_instead_is_there() {
    for info in operations() {
        let Some(instead) = info.instead() else {
            continue;
        };
        for name in instead.split('`').filter(|word| word.starts_with('-')) {
            let name = name.split(' ').next().unwrap_or(name);
            let other = operations().find(|other| other.option() == name);
            assert!(
                other.is_some_and(|other| other.refused().is_none() || other.name() == "identify"),
                "{} points to {name}",
                info.option()
            );
        }
    }
}

#[test]
fn a_whole_command_line_is_understood() {
    let table = [
        ("magick in.png -resize 50% out.jpg", "-resize '50%'"),
        ("convert in.png -resize 50% out.jpg", "-resize '50%'"),
        ("magick convert in.png -flip out.jpg", "-flip"),
        ("/usr/bin/magick in.png -flip out.jpg", "-flip"),
        ("MAGICK.EXE in.png -flip out.jpg", "-flip"),
        ("magick in.png out.jpg", ""),
        ("magick - -flip jpg:-", "-flip"),
        ("magick 'my photo.png' -flip out.jpg", "-flip"),
        (
            "magick -density 300 -define x:y=z in.pdf -flip out.jpg",
            "-density 300 -define 'x:y=z' -flip",
        ),
        (
            "magick in.png \\\n  -resize 200x200^ \\\n  -gravity center out.png",
            "-resize 200x200^ -gravity center",
        ),
        (
            "magick in.png \\( +clone -flip \\) -append out.png",
            "( +clone -flip ) -append",
        ),
        (
            "magick in.png -annotate +5+5 in.png out.png",
            "-annotate +5+5 in.png",
        ),
    ];
    for (line, expected) in table {
        let pipeline: Pipeline = line
            .parse()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(pipeline.to_string(), expected, "{line}");
    }
    for (line, expected) in [
        ("magick", "is not whole"),
        ("magick in.png", "is not whole"),
        ("magick in.png -flip", "is not whole"),
        ("magick -flip out.png", "before the input"),
        ("magick -quality 80 out.png", "is not whole"),
        (
            "magick in.png -resize out.png",
            "takes 1 argument, but none",
        ),
        (
            "magick a.png b.png -append out.png",
            "`b.png` is a second input",
        ),
        (
            "magick a.png ( b.png -flip ) -append out.png",
            "read by `read`",
        ),
        (
            "magick a.png resize 50% out.png",
            "`resize` is a second input",
        ),
        ("magick ( a.png -flip ) out.png", "within parentheses"),
        ("magick 'a.gif[0]' -flip out.png", "behind `infile`"),
        ("magick a.png -resze 50% out.png", "did you mean `resize`?"),
        ("magick a.png -write b.png out.png", "it writes a file"),
        (
            "magick mogrify -flip a.png",
            "another of ImageMagick's programs",
        ),
        ("magick identify a.png", "another of ImageMagick's programs"),
        ("mogrify -flip a.png", "another of ImageMagick's programs"),
        ("magick a.png ( -flip out.png", "`(` is not closed"),
    ] {
        let error = line.parse::<Pipeline>().expect_err(line).to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

/// No string of words, however odd, panics the parser or ends the process.
#[test]
fn odd_words_are_answered() {
    let odd = [
        "",
        "-",
        "--",
        "+",
        "(",
        ")",
        "{",
        "}",
        "@",
        "%",
        "%[",
        "%[fx:",
        "\\",
        "'",
        "\"",
        "#",
        "\u{FDD0}",
        "\u{0}",
        "ä",
        "\u{1F4A9}",
        "1e999",
        "-1",
        "0x",
        "x0",
        "99999999999999999999",
        "inf",
        "nan",
        ":",
        ";",
        ",",
        "a=b",
        "magick",
        "convert",
        "out.png",
        "Disk:99999",
        "99999x99999:1",
        "Gaussian:1e9",
        "inf:1",
        "3x3@:1",
        "[0]",
        "&lt;",
        "registry:x",
    ];
    let long = ["9", "x", ":", ";", "a", "(", ",", "%", "ä"].map(|word| word.repeat(5_000));
    let names: Vec<_> = operations().map(OperationInfo::option).collect();
    // A linear congruential generator is random enough, and the same each time.
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    for round in 0..5_000 {
        let mut words = Vec::new();
        for _ in 0..=random(5) {
            words.push(match random(10) {
                0..4 => names[random(names.len())].to_owned(),
                4 => table::ROWS[random(table::ROWS.len())].example.to_owned(),
                5 if round % 50 == 0 => long[random(long.len())].clone(),
                _ => odd[random(odd.len())].to_owned(),
            });
        }
        let text = words.join([" ", "", "\n"][random(3)]);
        if let Ok(pipeline) = text.parse::<Pipeline>() {
            let printed = pipeline.to_string();
            if !printed.is_empty() {
                assert_eq!(printed.parse::<Pipeline>().ok(), Some(pipeline), "{text}");
            }
        }
    }
    for name in names {
        for argument in &long {
            drop(format!("{name} {argument}").parse::<Pipeline>());
            drop(format!("{name} {argument} {argument}").parse::<Pipeline>());
        }
    }
}
