//! The real web server serves and stores files.

use std::fs;

use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{Method, Request, StatusCode};
use object_store::client::{HttpConnector, HttpResponse, ReqwestConnector};
use testkit::nginx::Server;

fn send(method: Method, url: &str, known: Option<&str>, body: &str) -> HttpResponse {
    let options = object_store::ClientOptions::new().with_allow_http(true);
    let client = ReqwestConnector::default()
        .connect(&options)
        .expect("a client can be made");
    let mut request = Request::builder().method(method).uri(url);
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, known);
    }
    let request = request
        .body(body.as_bytes().to_vec().into())
        .expect("the URL is valid");
    testkit::block_on(client.execute(request)).expect("the server answers")
}

#[test]
fn files_have_e_tags() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ä b?.jpg"), "picture").unwrap();
    let server = Server::start(folder.path());
    let url = server.url("ä b?.jpg");
    let response = send(Method::GET, &url, None, "");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "image/jpeg");
    let e_tag = response.headers()[ETAG].to_str().unwrap();
    let again = send(Method::GET, &url, Some(e_tag), "");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let missing = send(Method::GET, &server.url("other.jpg"), None, "");
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[test]
fn files_can_be_put() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let url = server.url("new/a b.png");
    let response = send(Method::PUT, &url, None, "picture");
    assert_eq!(response.status(), StatusCode::CREATED);
    let file = folder.path().join("new/a b.png");
    assert_eq!(fs::read_to_string(&file).unwrap(), "picture");
    let response = send(Method::DELETE, &url, None, "");
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(!file.exists());
}
