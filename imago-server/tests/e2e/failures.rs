//! Everything that can be wrong with an action has its own clear error, and harms no other action.

use serde_json::{Value, json};
use testkit::{images, s3};

use crate::service::{Service, action};

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_known_before_is_refused_with_the_place() {
    let service = Service::on_s3(&[]);
    let good = || action("s3://mybucket/a.png", "s3://mybucket/a.jpg", "resize 20x20");
    let with = |member: &str, value: Value| {
        let mut action = good();
        action[member] = value;
        action
    };
    let table = [
        (
            with("operations", json!(["resze 20x20"])),
            "/operations/0",
            "there is no operation `resze`; did you mean `resize`?",
        ),
        (
            with("operations", json!(["strip", "resize"])),
            "/operations/1",
            "`resize` takes 1 argument, but none is given",
        ),
        (
            with("operations", json!(["resize large"])),
            "/operations/0",
            "takes a geometry such as `resize 200x200`, but `large` is none",
        ),
        (with("infile", json!("a.png")), "/infile", "`a.png`"),
        (
            with("infile", json!("s3://mybucket")),
            "/infile",
            "s3://mybucket",
        ),
        (
            with("infile", json!("s3://mybucket/a//b.png")),
            "/infile",
            "a//b.png",
        ),
        (
            with("infile", json!("s3://mybucket/../b.png")),
            "/infile",
            "..",
        ),
        (with("infile", json!("ftp://host/a.png")), "/infile", "ftp"),
        (with("infile", json!("msl:a.png")), "/infile", "`msl:`"),
        (with("infile", json!("https:")), "/infile", "https:"),
        (
            with("infile", json!("ephemeral:a.png")),
            "/infile",
            "ephemeral",
        ),
        (with("infile", json!("mpr:a")), "/infile", "mpr"),
        (
            with("infile", json!("file:///etc/passwd")),
            "/infile",
            "file",
        ),
        (
            with("infile", json!("memory://b/a.png")),
            "/infile",
            "memory",
        ),
        (with("outfile", json!("s3://mybucket/a")), "/outfile", ""),
        (
            with("outfile", json!("s3://mybucket/a.xyz")),
            "/outfile",
            "`.xyz`",
        ),
        (
            with("outfile", json!("s3://key:hush@mybucket/a.png")),
            "/outfile",
            "",
        ),
        (
            with("mimetype", json!("image/jpeg\nX-Evil: 1")),
            "/mimetype",
            "",
        ),
        (
            with("headers", json!({"x-amz-meta-a b": "1"})),
            "/headers/x-amz-meta-a b",
            "",
        ),
    ];
    for (bad, pointer, text) in table {
        // The good one beside it is not to blame, and does not run.
        let errors = service.refused(&[good(), bad.clone()]).await;
        assert_eq!(errors.len(), 1, "{bad}: {errors:?}");
        assert_eq!(errors[0].0, format!("/actions/1{pointer}"), "{bad}");
        assert!(errors[0].1.contains(text), "{bad}: {errors:?}");
        assert!(!errors[0].1.contains("hush"), "{bad}: {errors:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_own_error_and_leaves_nothing() {
    let s3 = s3::server();
    let jpeg = images::make("jpeg", 200, 200);
    s3.put("fail/good.png", images::make("png", 40, 30));
    s3.put("fail/text.png", "This is not a picture.");
    s3.put("fail/cut.jpg", jpeg.slice(..jpeg.len() / 2));
    s3.put("fail/empty.png", "");
    s3.put("fail/evil.svg", r#"<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>"#);
    s3.put("fail/evil.mvg", "push graphic-context\nviewbox 0 0 9 9\nimage Over 0,0 0,0 '/etc/passwd'\npop graphic-context\n");
    s3.put("fail/evil.ps", "%!PS\n(/etc/passwd) run\n");
    let table = [
        (
            "s3://no-such-bucket/a.png",
            "resize 9x9",
            &["no-such-bucket", "bucket"][..],
        ),
        (
            "s3://mybucket/fail/gone.png",
            "resize 9x9",
            &["fail/gone.png"],
        ),
        (
            "s3://mybucket/fail/text.png",
            "resize 9x9",
            &[
                "fail/text.png",
                "no image of a known format",
                "This is not a pi",
            ],
        ),
        (
            "s3://mybucket/fail/cut.jpg",
            "resize 9x9",
            &["fail/cut.jpg", "damaged JPEG", "Premature end"],
        ),
        (
            "s3://mybucket/fail/empty.png",
            "resize 9x9",
            &["fail/empty.png", "it is empty", "0 bytes"],
        ),
        (
            "s3://mybucket/fail/evil.svg",
            "resize 9x9",
            &["fail/evil.svg", "refers to `file:///etc/passwd`"],
        ),
        (
            "s3://mybucket/fail/evil.mvg",
            "resize 9x9",
            &["fail/evil.mvg", "no image of a known format"],
        ),
        (
            "s3://mybucket/fail/evil.ps",
            "resize 9x9",
            &["fail/evil.ps", "PS", "not read"],
        ),
        (
            "s3://mybucket/fail/good.png",
            "resize 90000x90000!",
            &["-resize 90000x90000!", "limit"],
        ),
        (
            "s3://mybucket/fail/good.png",
            "clone 7 append",
            &["`-clone 7` failed"],
        ),
    ];
    let mut actions: Vec<_> = table
        .iter()
        .enumerate()
        .map(|(index, (infile, operation, _))| {
            action(
                infile,
                &format!("s3://mybucket/fail/out/{index}.jpg"),
                operation,
            )
        })
        .collect();
    let good = action(
        "s3://mybucket/fail/good.png",
        "s3://mybucket/fail/out/good.jpg",
        "resize 9x9",
    );
    actions.insert(3, good.clone());
    actions.push(good);
    let document = Service::on_s3(&[]).run(&actions).await;
    assert_eq!(document["status"], "error", "{document}");
    let mut errors = Vec::new();
    let mut ended = document["actions"].as_array().unwrap().clone();
    for good in [actions.len() - 1, 3] {
        let good = ended.remove(good);
        assert_eq!(good["status"], "done", "{good}");
    }
    for (action, (infile, _, texts)) in ended.iter().zip(table) {
        assert_eq!(action["status"], "error", "{action}");
        let result = action["result"].as_object().unwrap();
        assert!(
            result.contains_key("failure") && !result.contains_key("files"),
            "{action}"
        );
        let error = action["error"].as_str().unwrap();
        for text in texts {
            assert!(
                error.contains(text),
                "{infile}: `{error}` is without {text:?}"
            );
        }
        errors.push(error);
    }
    errors.sort_unstable();
    errors.dedup();
    assert_eq!(errors.len(), 10, "some say the same: {errors:#?}");
    assert_eq!(s3.list("fail/out"), ["fail/out/good.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_a_dead_store_are_told_apart() {
    let s3 = s3::server();
    s3.put("keys/good.png", images::make("png", 40, 30));
    let actions = [action(
        "s3://mybucket/keys/good.png",
        "s3://mybucket/keys/out.jpg",
        "resize 9x9",
    )];
    let with = |name: &str, value: &str| {
        let mut environment = s3.environment();
        for (known, old) in &mut environment {
            if known == name {
                value.clone_into(old);
            }
        }
        environment
    };
    let table = [
        (
            with("AWS_SECRET_ACCESS_KEY", "wrong-secret"),
            "the secret key is not the right one",
        ),
        (
            with("AWS_ACCESS_KEY_ID", "nobody"),
            "does not know the access key",
        ),
        (
            with("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            "could not be reached",
        ),
    ];
    for (environment, text) in table {
        let document = Service::start(&environment, &[]).run(&actions).await;
        assert_eq!(document["status"], "error", "{document}");
        let error = document["actions"][0]["error"].as_str().unwrap().to_owned();
        assert!(error.contains("mybucket"), "{error}");
        assert!(!error.contains("wrong-secret"), "{error}");
        assert!(error.contains(text), "{error}");
    }
    assert!(!s3.exists("keys/out.jpg"));
}
