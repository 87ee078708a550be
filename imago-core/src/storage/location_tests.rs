use super::*;

fn key(url: &str) -> Result<String> {
    match Location::parse(url)?.target {
        Target::Bucket { key, .. } => Ok(key.to_string()),
        other => panic!("{url} has no key but {}", matches!(other, Target::File(_))),
    }
}

#[test]
fn a_key_is_what_stands_behind_the_bucket_byte_for_byte() {
    for name in [
        "imago/out/foo 200x200.jpg",
        "imago/out/foo%20200x200.jpg",
        "foo%2520200x200.jpg",
        "a?b.jpg",
        "a#b.jpg",
        "?",
        "#",
        "a+b&c=d?e#f.jpg",
        "100%.jpg",
        "50%.jpg",
        "%ff.jpg",
        "a%2Fb.jpg",
        "a/%2E%2E/b.jpg",
        "ünï/日本 語😀.png",
        "e\u{301}.png",
        "\u{e9}.png",
        " leading.jpg",
        "trailing.jpg ",
        "a / b.jpg",
        "\"quotes' and `ticks`.jpg",
        "[brackets]{braces}(parens)<angles>|^~.jpg",
        "back\\slash.jpg",
        "foo+bar@baz:1,2;3!$*.jpg",
        "...",
        "a/.hidden",
        "s3://bucket/key",
        "http:/x",
        "\u{a0}nbsp.jpg",
    ] {
        for store in [
            "s3://mybucket",
            "gs://mybucket",
            "az://mybucket",
            "memory://mybucket",
        ] {
            // A `://` within the key would need an empty segment.
            let url = format!("{store}/{name}");
            if name.contains("//") {
                assert!(key(&url).is_err(), "{url}");
            } else {
                assert_eq!(key(&url).unwrap(), name, "{url}");
                assert_eq!(Location::parse(&url).unwrap().as_str(), url);
                assert_eq!(Location::parse(&url).unwrap().to_string(), url);
            }
        }
    }
    let longest = format!("s3://b/{}", "k".repeat(1024));
    assert_eq!(key(&longest).unwrap().len(), 1024);
}

#[test]
fn buckets_are_read_as_written() {
    for (url, scheme, account, name) in [
        (
            "s3://My_Bucket.With.Dots/k",
            Scheme::S3,
            None,
            "My_Bucket.With.Dots",
        ),
        ("S3://b/k", Scheme::S3, None, "b"),
        ("gs://b-1/k", Scheme::Gcs, None, "b-1"),
        ("az://cont/k", Scheme::Azure, None, "cont"),
        ("az://$web/k", Scheme::Azure, None, "$web"),
        ("abfs://cont/k", Scheme::Azure, None, "cont"),
        (
            "abfss://cont@acct.dfs.core.windows.net/k",
            Scheme::Azure,
            Some("acct"),
            "cont",
        ),
        (
            "abfs://cont@acct.blob.core.windows.net/k",
            Scheme::Azure,
            Some("acct"),
            "cont",
        ),
        ("memory://x/a", Scheme::Memory, None, "x"),
    ] {
        let location = Location::parse(url).unwrap();
        assert_eq!(location.scheme(), scheme, "{url}");
        let Target::Bucket { bucket, .. } = location.target else {
            panic!("{url}");
        };
        assert_eq!(
            (bucket.account.as_deref(), bucket.name.as_str()),
            (account, name),
            "{url}"
        );
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let long = format!("s3://b/{}", "k".repeat(1025));
    for url in [
        "",
        "foo.jpg",
        "/plain/path",
        r"C:\a.jpg",
        "data:image/png;base64,AAAA",
        "ftp://host/a.jpg",
        "wasbs://c@a.blob.core.windows.net/k",
        "s3:bucket/key",
        "s3://",
        "s3://b",
        "s3://b/",
        "s3:///k",
        "s3://b//lead.jpg",
        "s3://b/a//b.jpg",
        "s3://b/dir/",
        "s3://b/a/../b.jpg",
        "s3://b/./b.jpg",
        "s3://b/..",
        "s3://b/a\tb.jpg",
        "s3://b/a\nb.jpg",
        "s3://b/a\u{0}b.jpg",
        "s3://b/a\u{7f}b.jpg",
        "s3://b:9000/k",
        "s3://b:/k",
        "s3://key:secret@b/k",
        "s3://user@b/k",
        "gs://user@b/k",
        "s3://../k",
        "s3://.b/k",
        "s3://a b/k",
        "s3://a?b/k",
        "s3://a#b/k",
        "s3://a%2fb/k",
        "s3://büro/k",
        " s3://b/k",
        "abfss://c@evil.example/k",
        "abfss://c@a.b.dfs.core.windows.net/k",
        "abfss://c@.dfs.core.windows.net/k",
        "abfss://c:pw@a.dfs.core.windows.net/k",
        "abfss://@a.dfs.core.windows.net/k",
        "az://$/k",
        "file:relative/a.jpg",
        "file://relative/a.jpg",
        "file://./a.jpg",
        "file://host/a.jpg",
        "file:///",
        "file:///dir/",
        "file:///a%2Fb",
        "file:///a%00b",
        "file:///a%0Ab",
        "file:///a%ff",
        "file:///a?b",
        "file:///a#b",
        "file://",
        "http://",
        "http:///a.jpg",
        "https://host name/a.jpg",
        "https://h.example/a\n.jpg",
        "https://h.example/a.jpg ",
        "https://h.example:99999/a.jpg",
        &long,
    ] {
        match Location::parse(url) {
            Ok(location) => panic!("{url:?} was taken as {location:?}"),
            Err(e) => assert_eq!(e.kind(), ErrorKind::InvalidUrl, "{url:?}: {e}"),
        }
    }
}

#[test]
fn messages_and_logs_keep_secrets() {
    for url in [
        "s3://AKIA:hunter2@b/k",
        "gs://hunter2@b/k",
        "abfss://c:hunter2@a.dfs.core.windows.net/k",
        "https://u:hunter2@h.example:99999/",
        "https://u:hunter2@/a",
        "https://h.example /a?sig=hunter2",
        "https://h.example/a?sig=hunter2\n",
        "data:hunter2",
        "ftp://u:hunter2@host/",
    ] {
        let error = Location::parse(url).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{url}: {error:?}"
        );
    }
    let location =
        Location::parse("https://u:hunter2@h.example:8443/a%20b.jpg?sig=hunter2#x").unwrap();
    assert_eq!(location.to_string(), "https://h.example:8443/a%20b.jpg");
    assert!(!format!("{location:?}").contains("hunter2"));
    assert!(location.as_str().contains("hunter2"));
}

#[test]
fn file_urls_follow_their_standard() {
    for (url, path) in [
        ("file:///tmp/a.jpg", "/tmp/a.jpg"),
        ("file://localhost/tmp/a.jpg", "/tmp/a.jpg"),
        ("file:///tmp/a%20b.jpg", "/tmp/a b.jpg"),
        ("file:///tmp/a b.jpg", "/tmp/a b.jpg"),
        ("file:///tmp/a%2520b.jpg", "/tmp/a%20b.jpg"),
        ("file:///tmp/a%3Fb%23c.jpg", "/tmp/a?b#c.jpg"),
        ("file:///tmp/100%.jpg", "/tmp/100%.jpg"),
        ("file:///tmp/%E6%97%A5.jpg", "/tmp/日.jpg"),
        ("file:///tmp/日.jpg", "/tmp/日.jpg"),
        ("FILE:///tmp/a+b.jpg", "/tmp/a+b.jpg"),
    ] {
        let location = Location::parse(url).unwrap();
        assert_eq!(location.scheme(), Scheme::File);
        let Target::File(found) = location.target else {
            panic!("{url}");
        };
        assert_eq!(found, FilePath::new(path), "{url}");
    }
}

#[test]
fn http_urls_keep_their_query() {
    for (url, sent) in [
        (
            "https://b.s3.eu-west-1.amazonaws.com/a%20b.jpg?X-Amz-Signature=a%2Fb%2bc+d&x",
            "https://b.s3.eu-west-1.amazonaws.com/a%20b.jpg?X-Amz-Signature=a%2Fb%2bc+d&x",
        ),
        ("http://h.example/a.jpg?", "http://h.example/a.jpg?"),
        ("http://h.example?a=b", "http://h.example/?a=b"),
        ("http://h.example/a%2Fb/%7Ec", "http://h.example/a%2Fb/%7Ec"),
        (
            "http://h.example/a.jpg?q#fragment",
            "http://h.example/a.jpg?q",
        ),
        (
            "http://h.example/a.jpg?q=!$&()*,-.:;=?@_~[]{}|^`/\\%",
            "http://h.example/a.jpg?q=!$&()*,-.:;=?@_~[]{}|^`/\\%",
        ),
        // What a URL cannot contain is encoded, which servers decode again.
        (
            "http://h.example/ü b?ü b",
            "http://h.example/%C3%BC%20b?%C3%BC%20b",
        ),
    ] {
        let location = Location::parse(url).unwrap();
        let Target::Http(found) = location.target else {
            panic!("{url}");
        };
        assert_eq!(found.as_str(), sent, "{url}");
    }
}

#[test]
fn the_extension_is_the_last_segments() {
    for (url, extension) in [
        ("s3://b/a.jpg", Some("jpg")),
        ("s3://b/a.JPG", Some("JPG")),
        ("s3://b/a.tar.gz", Some("gz")),
        ("s3://b/a.b/c", None),
        ("s3://b/a", None),
        ("s3://b/a.", None),
        ("s3://b/.jpg", None),
        ("s3://b/a.jpg?x.png", Some("png")),
        ("s3://b.jpg/a", None),
        ("file:///a/b%2Epng", Some("png")),
        ("http://h.example/a.jpg?name=b.png", Some("jpg")),
        ("http://h.example/a%2Ejpg", Some("jpg")),
        ("http://h.example/a.b%20c", Some("b c")),
        ("http://h.example/", None),
        ("http://h.example", None),
        ("http://h.example/%ff.jpg", Some("jpg")),
    ] {
        assert_eq!(
            Location::parse(url).unwrap().extension(),
            extension,
            "{url}"
        );
    }
}

#[test]
fn messages_say_what_came_and_what_was_expected() {
    for (url, message) in [
        (
            "foo.jpg",
            "expected a URL with one of the schemes s3, gs, az, abfs, abfss, file, http and https, as in `s3://bucket/in.jpg`, not `foo.jpg`",
        ),
        (
            "s3://b/a//c",
            "the URL `s3://b/a//c` does not name an object: its key contains `//`, which no store can be asked for",
        ),
        (
            "s3://k:s@b/a",
            "a `s3://` URL must not hold credentials before its bucket; they belong in the configuration, and the URL looks like `s3://bucket/key`",
        ),
    ] {
        assert_eq!(Location::parse(url).unwrap_err().to_string(), message);
    }
}
