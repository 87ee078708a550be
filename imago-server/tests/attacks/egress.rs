//! Addresses that a server must not be led to: its own machine, its network, the cloud's metadata.

use serde_json::json;
use testkit::http::{Reply, Server};
use testkit::{images, s3};

use crate::stage::Comes::{Fails, Refused};
use crate::stage::{SECRET, Stage};

/// Hosts that are addresses of this machine, of its network, or of the cloud's own servers, however they are written.
pub(crate) const PRIVATE: [&str; 43] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0x7f.1",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "0",
    "0.0.0.0",
    "user:password@127.0.0.1",
    "public.example%40127.0.0.1@127.0.0.1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "168.63.129.16",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_private_address_is_asked() {
    let mut stage = Stage::open(&[]);
    for host in PRIVATE {
        let url = format!("http://{host}:{{port}}/a.png");
        let infile = json!({"infile": url, "outfile": "file://{root}/out/{n}.png"});
        stage.action(&infile, Refused("")).await;
    }
    // A name is known to lead there only when it is asked for.
    for (name, expected) in [
        ("localhost", "has no public address"),
        ("LOCALHOST", "has no public address"),
        ("user@localhost", "has no public address"),
        ("%6cocalhost", "has no public address"),
        // Not every resolver knows it so.
        ("localhost.", ""),
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{name}:{{port}}/a.png");
            let infile = json!({"infile": url, "outfile": "file://{root}/out/{n}.png"});
            stage.action(&infile, Fails(expected)).await;
        }
    }
    let outfile =
        json!({"infile": "file://{root}/in.png", "outfile": "http://localhost:{port}/a.png"});
    stage.action(&outfile, Fails("has no public address")).await;
    for operation in ["read", "remap", "tile", "profile", "read-mask", "cdl"] {
        let private = format!("{operation} http://127.0.0.1:{{port}}/a.png");
        stage
            .operations(&[&private], Refused("no public address"))
            .await;
        let named = format!("{operation} http://localhost:{{port}}/a.png");
        stage
            .operations(&[&named], Fails("has no public address"))
            .await;
    }
    for url in [
        "http:127.0.0.1:{port}/a.png",
        "http:/127.0.0.1:{port}/a.png",
        "http:///127.0.0.1:{port}/a.png",
        "http:\\\\127.0.0.1:{port}\\a.png",
        "http://\\127.0.0.1:{port}/a.png",
        "ht\ttp://127.0.0.1:{port}/a.png",
        "http://127.0.0.1:{port}/a.png\r\nHost: x",
        "//127.0.0.1:{port}/a.png",
        "http://[::1%25lo]:{port}/a.png",
        "http://[127.0.0.1]:{port}/a.png",
        "http://127.0.0.1:99999/a.png",
        "s3://127.0.0.1:{port}/a/b.png",
        "s3://user:password@127.0.0.1:{port}/b.png",
        "s3://a@127.0.0.1/b.png",
        "s3://a#@127.0.0.1/b.png",
        "s3://a?@127.0.0.1/b.png",
        "gs://127.0.0.1:{port}/b.png",
        "az://a@127.0.0.1:{port}/b.png",
        "abfss://a@127.0.0.1:{port}.dfs.core.windows.net/b.png",
        "abfss://a@127.0.0.1:{port}/b.png?.dfs.core.windows.net",
        "abfss://a@x.dfs.core.windows.net.127.0.0.1/b.png",
        "file://127.0.0.1/a.png",
    ] {
        let infile = json!({"infile": url, "outfile": "file://{root}/out/{n}.png"});
        stage.action(&infile, Refused("")).await;
    }
    stage.close().await;
}

/// A server that may be asked, and that would lead elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_leads_elsewhere() {
    let server = Server::start();
    let origin = server.url("/");
    let mut stage = Stage::open(&["--http-private", "--allow", &origin, "--allow", "file:///"]);
    let port = stage.port();
    let table = [
        (format!("http://127.0.0.1:{port}/a.png"), "does not allow"),
        (format!("http://localhost:{port}/a.png"), "does not allow"),
        (format!("//127.0.0.1:{port}/a.png"), "does not allow"),
        (
            format!("http://user:password@127.0.0.1:{port}/"),
            "does not allow",
        ),
        (format!("http://[::1]:{port}/a.png"), "does not allow"),
        (format!("https://127.0.0.1:{port}/a.png"), "does not allow"),
        (
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            "does not allow",
        ),
        (stage.fill("file://{secret}/a.png"), "is not HTTP"),
        ("ftp://127.0.0.1/a.png".to_owned(), "is not HTTP"),
        ("data:image/png;base64,AAAA".to_owned(), "is not HTTP"),
        ("gopher://127.0.0.1/_x".to_owned(), "is not HTTP"),
        ("http://[".to_owned(), "is no URL"),
        ("/again".to_owned(), "redirects more than 5 times"),
    ];
    for status in [301, 302, 303, 307, 308] {
        for (target, expected) in &table {
            let path = if target == "/again" {
                "/again"
            } else {
                "/a.png"
            };
            server.route(path, Reply::redirect(status, target));
            let infile =
                json!({"infile": server.url(path), "outfile": "file://{root}/out/{n}.png"});
            stage.action(&infile, Fails(expected)).await;
        }
    }
    server.on(
        "PUT",
        "/a.png",
        Reply::redirect(307, &format!("http://127.0.0.1:{port}/a.png")),
    );
    let outfile = json!({"infile": "file://{root}/in.png", "outfile": server.url("/a.png")});
    stage.action(&outfile, Fails("does not allow")).await;
    for prefix in [
        format!("http://127.0.0.1:{port}/a.png"),
        format!("{}@127.0.0.1:{port}/a.png", origin.trim_end_matches('/')),
        origin.replace("127.0.0.1", "127.0.0.1.nip.example"),
        origin.replace("http:", "https:"),
    ] {
        let infile = json!({"infile": prefix, "outfile": "file://{root}/out/{n}.png"});
        stage
            .action(&infile, Refused("not below any of the URL prefixes"))
            .await;
    }
    stage.close().await;
}

/// Objects in a bucket that may be used, but not below the prefix that may.
#[tokio::test(flavor = "multi_thread")]
async fn no_object_outside_the_prefix_is_asked() {
    let s3 = s3::server();
    let picture = images::make("png", 12, 12);
    s3.put("open/in.png", picture.clone());
    s3.put("closed/a.png", picture.clone());
    s3.put("open-too/a.png", picture);
    s3.put("closed/a.txt", SECRET);
    let endpoint = s3.endpoint();
    let mut stage = Stage::open_with(
        &s3.environment(),
        &["--allow", "s3://mybucket/open/", "--allow", "file:///"],
    );
    let outside = Refused("not below any of the URL prefixes");
    let table = [
        ("s3://mybucket/closed/a.png", outside),
        ("S3://mybucket/closed/a.png", outside),
        ("s3://mybucket/open", outside),
        ("s3://mybucket/open-too/a.png", outside),
        ("s3://mybucket/Open/../closed/a.png", Refused("`..`")),
        ("s3://mybucket/open/../closed/a.png", Refused("`..`")),
        ("s3://mybucket/open/./../closed/a.png", Refused("")),
        ("s3://mybucket/open//../closed/a.png", Refused("")),
        ("s3://mybucket/open/%2e%2e/closed/a.png", Fails("")),
        ("s3://mybucket/open/..%2fclosed%2fa.png", Fails("")),
        ("s3://mybucket/open/..\\closed\\a.png", Fails("")),
        ("s3://mybucket/open/\0../closed/a.png", Refused("")),
        (
            "s3://mybucket/open/a.png?versionId=1&x=/../closed/a.png",
            Refused(""),
        ),
        ("s3://other/closed/a.png", outside),
        ("s3://mybucket.s3.amazonaws.com/closed/a.png", outside),
        ("gs://mybucket/open/in.png", outside),
        ("{endpoint}/mybucket/closed/a.png", outside),
        ("https://mybucket.s3.amazonaws.com/closed/a.png", outside),
    ];
    for (url, comes) in table {
        let url = url.replace("{endpoint}", &endpoint);
        let infile = json!({"infile": url, "outfile": "file://{root}/out/{n}.png"});
        stage.action(&infile, comes).await;
        stage.operations(&[&format!("read '{url}'")], comes).await;
    }
    for url in [
        "s3://mybucket/closed/new.png",
        "s3://mybucket/open/../closed/new.png",
        "s3://mybucket/%d/../closed/new.png",
    ] {
        let outfile = json!({"infile": "s3://mybucket/open/in.png", "outfile": url});
        stage.action(&outfile, Refused("")).await;
    }
    stage.close().await;
    assert_eq!(s3.list("closed"), ["closed/a.png", "closed/a.txt"]);
    for key in ["closed/a.png", "closed/a.txt", "open-too/a.png"] {
        assert_eq!(s3.get_count(key), 0, "{key}");
    }
}
