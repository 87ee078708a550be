//! The request that Imago was begun for.

use serde_json::Value;
use testkit::{images, s3};

use crate::service::Service;

/// To the letter, with the blank in `foo 200x200.jpg` and the capital X in `200X200`.
const REQUEST: &str = r#"{
  "actions": [
    {
      "infile": "s3://mybucket/imago/foo.png",
      "outfile": "s3://mybucket/imago/out/foo 200x200.jpg",
      "operations": ["resize 200X200", "quality 100"],
      "mimetype": "image/jpg"
    },
    {
      "infile": "s3://mybucket/imago/foo.png",
      "outfile": "s3://mybucket/imago/out/foo-4xx4k.tiff",
      "operations": ["resize 4000X4000"],
      "mimetype": "image/tiff"
    }
  ]
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_request_works_to_the_letter() {
    let s3 = s3::server();
    assert_eq!(s3.bucket(), "mybucket");
    let photo = images::make("png", 300, 200);
    s3.put("imago/foo.png", photo.clone());
    let service = Service::on_s3(&[]);

    let (status, answer) = service.request("POST", "/api/v1/work", REQUEST).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["status"], "ok", "{answer}");
    let id = answer["id"].as_str().unwrap();
    let document = service.finished(&format!("/api/v1/work/{id}")).await;

    assert_eq!(document["status"], "done", "{document}");
    assert_eq!(document["progress"], 1.0, "{document}");
    let request: Value = serde_json::from_str(REQUEST).unwrap();
    let sizes = [("JPEG", 200, 133), ("TIFF", 4000, 2667)];
    for (index, (format, width, height)) in sizes.into_iter().enumerate() {
        let (asked, action) = (&request["actions"][index], &document["actions"][index]);
        for member in ["infile", "outfile", "mimetype", "operations"] {
            assert_eq!(action[member], asked[member], "{member}: {action}");
        }
        assert_eq!(action["status"], "done", "{action}");
        assert_eq!(
            (&action["output"], &action["error"]),
            (&"".into(), &"".into())
        );
        let result = &action["result"];
        assert_eq!(result["format"], format, "{action}");
        assert_eq!(result["width"], width, "{action}");
        assert_eq!(result["height"], height, "{action}");
        assert_eq!(result["files"][0], asked["outfile"], "{action}");

        let key = asked["outfile"]
            .as_str()
            .unwrap()
            .strip_prefix("s3://mybucket/")
            .unwrap();
        let object = s3.get(key).unwrap_or_else(|| panic!("nothing at {key}"));
        assert_eq!(object.content_type(), asked["mimetype"].as_str(), "{key}");
        assert_eq!(object.e_tag(), result["etag"].as_str(), "{key}");
        assert_eq!(result["bytes"], object.bytes.len(), "{key}");
        let expected = format!("{format} {width} {height}");
        assert_eq!(images::describe(&object.bytes, "%m %w %h"), [expected]);
    }

    // What is stored is what `magick` makes of the same words.
    let theirs = images::magick_with(
        ["-", "-resize", "200X200", "-quality", "100", "jpg:-"],
        &photo,
    );
    let ours = s3.get("imago/out/foo 200x200.jpg").unwrap();
    // The fast lane made it, so it is near, not the same; `imago-core/tests/equality` says how near before encoding.
    let apart = images::difference(&ours.bytes, &theirs.stdout);
    assert!(apart < 0.004, "{apart}");
}
