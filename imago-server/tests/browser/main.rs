//! The web console in Chromium: what a person sees who uses it.

#![expect(clippy::unwrap_used, reason = "it is a test's way to fail")]

mod page;

use std::fs;

use page::{Setup, browse};
use serde_json::json;
use testkit::{http, images};
use thirtyfour::By;
use thirtyfour::components::SelectElement;

/// The SHA-256 of `test` and of `look`.
const TOKENS: &str = "all:read+write:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 \
                  eyes:read:3c01eba119e00d79c82b6f65d70bc5f1044d568618bf41377e6d1432023fc2b8";

#[test]
fn a_job_is_checked_submitted_followed_listed_and_deleted() {
    let setup = Setup {
        refusals: &[404],
        ..Setup::default()
    };
    browse(&setup, async |page| {
        fs::write(page.path("foo.png"), images::make("png", 600, 400)).unwrap();
        let (first, second) = (".action:nth-child(1)", ".action:nth-child(2)");

        page.fill(&format!("{first} [name=infile]"), &page.url("foo.png"))
            .await;
        page.fill(&format!("{first} [name=outfile]"), &page.url("out/a b.jpg"))
            .await;
        page.fill(
            &format!("{first} [name=operations]"),
            "resize 200X200\nquality 90",
        )
        .await;
        page.fill(&format!("{first} [name=mimetype]"), "image/jpg")
            .await;
        page.click("#add-action").await;
        let focused = page.driver.active_element().await.unwrap();
        assert_eq!(
            focused.attr("name").await.unwrap().as_deref(),
            Some("infile")
        );
        focused.send_keys(page.url("foo.png")).await.unwrap();
        page.fill(&format!("{second} [name=outfile]"), &page.url("out/c.webp"))
            .await;
        let fidelity = page.sees(&format!("{second} [name=fidelity]"), "").await;
        let fidelity = SelectElement::new(&fidelity).await.unwrap();
        fidelity.select_by_value("fast").await.unwrap();
        page.fill("[name=priority]", "5").await;
        page.fill("[name=labels]", "album:rome: two\nshop:7").await;

        page.click("[value=check]").await;
        page.sees(
            "#plan li:nth-child(1)",
            "out/a b.jpg: JPEG, by native\n-resize 200X200\n-quality 90",
        )
        .await;
        page.sees("#plan li:nth-child(2)", "WEBP").await;
        assert!(!page.path("out").try_exists().unwrap());
        let listed = page.api("GET", "/api/v1/work", &json!(null)).await;
        assert_eq!(listed["work"], json!([]));

        page.click("[value=submit]").await;
        page.sees("#job-status", "done").await;
        page.sees("#job-progress-text", "100 %").await;
        let (first, second) = (
            "#job-actions li:nth-child(1)",
            "#job-actions li:nth-child(2)",
        );
        page.sees(&format!("{first} .status"), "done").await;
        page.sees(&format!("{first} dd.result"), "JPEG, 200 × 133, ")
            .await;
        page.sees(&format!("{first} dd.engine"), "native").await;
        page.sees(&format!("{first} dd.took"), "convert ").await;
        page.sees(&format!("{second} dd.result"), "WEBP, 600 × 400, ")
            .await;
        let bytes = fs::read(page.path("out/a b.jpg")).unwrap();
        assert_eq!(images::describe(&bytes, "%m %wx%h"), ["JPEG 200x133"]);

        // The address is that of the job, and the document is what the API says.
        let hash = page.hash().await;
        let id = hash.strip_prefix("job/").unwrap();
        page.driver.refresh().await.unwrap();
        page.click("summary").await;
        let shown = page.sees("#job-document", "finished").await;
        let shown: serde_json::Value = serde_json::from_str(&shown.text().await.unwrap()).unwrap();
        let document = page
            .api("GET", &format!("/api/v1/work/{id}"), &json!(null))
            .await;
        assert_eq!(shown["actions"], document["actions"]);
        assert_eq!(document["priority"], 5);
        assert_eq!(
            document["labels"],
            json!({"album": "rome: two", "shop": "7"})
        );
        assert_eq!(document["actions"][0]["mimetype"], "image/jpg");

        page.click("a[href='#jobs']").await;
        page.sees("#job-rows tr", "album:rome: two, shop:7").await;
        page.click(&format!("a[href='#job/{id}']")).await;
        page.sees("#job-status", "done").await;
        page.click("#delete-job").await;
        page.driver.accept_alert().await.unwrap();
        page.sees("#no-jobs", "no such jobs").await;
        assert_eq!(page.hash().await, "jobs");
        page.view(&format!("#job/{id}")).await;
        page.sees("#problem", "404: there is no job").await;
        assert!(page.path("out/a b.jpg").is_file());
    });
}

#[test]
fn what_is_wrong_stands_beside_its_field() {
    let setup = Setup {
        refusals: &[400, 422],
        ..Setup::default()
    };
    browse(&setup, async |page| {
        page.click("#add-action").await;
        page.fill("[name=priority]", "soon").await;
        page.click("[value=submit]").await;
        page.sees("[data-field=priority] .error", "expected an integer")
            .await;
        page.sees("#problem", "400: /priority").await;

        page.fill("[name=priority]", "1000").await;
        page.click("[value=submit]").await;
        page.sees("[data-field=priority] .error", "from -100 to 100, got 1000")
            .await;

        page.fill("[name=priority]", "-1").await;
        page.fill(".action:nth-child(1) [name=infile]", "in.png")
            .await;
        page.fill(
            ".action:nth-child(1) [name=operations]",
            "resize 9x9\n\nresze 5\ncrop <b>x</b>",
        )
        .await;
        page.fill(".action:nth-child(2) [name=mimetype]", "image")
            .await;
        page.click("[value=submit]").await;
        for (field, error) in [
            (
                ".action:nth-child(1) [data-field=infile]",
                "expected a URL with one of the schemes",
            ),
            (
                ".action:nth-child(1) [data-field=operations]",
                "number 2: there is no operation `resze`; did you mean `resize`?",
            ),
            (
                ".action:nth-child(1) [data-field=operations]",
                "number 3: `crop` takes",
            ),
            (".action:nth-child(1) [data-field=operations]", "`<b>x</b>`"),
            (
                ".action:nth-child(2) [data-field=mimetype]",
                "`image` is no media type",
            ),
        ] {
            let note = page.sees(&format!("{field} .error"), error).await;
            let id = note.attr("id").await.unwrap().unwrap();
            let told = format!("{field} [aria-invalid=true][aria-describedby~='{id}']");
            assert_eq!(page.count(&told).await, 1, "{told}");
        }
        page.sees("#problem", "422: ").await;
        let focused = page.driver.active_element().await.unwrap();
        assert_eq!(
            focused.attr("name").await.unwrap().as_deref(),
            Some("infile")
        );

        // What was mended is not complained about again.
        page.click(".action:nth-child(2) .remove-action").await;
        page.fill(".action:nth-child(1) [name=infile]", &page.url("in.png"))
            .await;
        page.fill(".action:nth-child(1) [name=outfile]", &page.url("out.jpg"))
            .await;
        page.fill(".action:nth-child(1) [name=operations]", "resize 9x9")
            .await;
        page.click("[value=check]").await;
        page.sees("#plan", "This can run").await;
        assert_eq!(page.count("[aria-invalid], .field .error").await, 0);
    });
}

#[test]
fn a_running_job_is_canceled_and_retried() {
    let setup = Setup {
        arguments: &["--http-private"],
        ..Setup::default()
    };
    browse(&setup, async |page| {
        let source = http::Server::start();
        source.route("/slow.png", http::Reply::hang());
        let id = page
            .submit(
                &json!([
                    {"infile": source.url("/slow.png"), "outfile": page.url("slow.jpg")},
                    {"infile": page.url("missing.png"), "outfile": page.url("missing.jpg")},
                ]),
                &json!({}),
            )
            .await;
        page.view(&format!("#job/{id}")).await;
        page.sees("#job-status", "working").await;
        page.sees(
            "#job-actions li:nth-child(2) dd.error",
            "there is no object",
        )
        .await;
        page.sees("#job-progress-text", "50 %").await;

        page.click("#cancel-job").await;
        page.sees("#job-status", "canceled").await;
        page.sees("#job-actions li:nth-child(1) .status", "canceled")
            .await;

        let picture = images::make("png", 60, 40);
        source.route("/slow.png", http::Reply::ok(picture.clone()));
        fs::write(page.path("missing.png"), picture).unwrap();
        page.click("#retry-job").await;
        page.sees("#job-status", "done").await;
        page.sees("#job-actions li:nth-child(2) dd.result", "JPEG, 60 × 40")
            .await;
        assert_eq!(page.count("#job-actions dd.error").await, 0);
    });
}

#[test]
fn jobs_are_listed_by_status_and_label_and_page_by_page() {
    let setup = Setup {
        refusals: &[400],
        ..Setup::default()
    };
    browse(&setup, async |page| {
        fs::write(page.path("in.png"), images::make("png", 60, 40)).unwrap();
        let mut last = String::new();
        for number in 0..25 {
            let infile = if number == 0 { "missing.png" } else { "in.png" };
            let action = json!([{"infile": page.url(infile), "outfile": page.url("out.png")}]);
            let labels = json!({"parity": (number % 2).to_string()});
            last = page.submit(&action, &labels).await;
        }
        let path = format!("/api/v1/work/{last}?timeout=30");
        page.api("GET", &path, &json!(null)).await;

        page.click("a[href='#jobs']").await;
        page.sees("#job-rows tr:nth-child(1)", &last).await;
        page.sees("#job-rows tr:nth-child(20)", "").await;
        assert_eq!(page.count("#job-rows tr").await, 20);
        page.click("#more-jobs").await;
        page.sees("#job-rows tr:nth-child(25)", "").await;
        assert_eq!(page.count("#job-rows tr").await, 25);
        assert_eq!(page.count("#more-jobs[hidden]").await, 1);

        page.fill("[name=label]", "parity:1\n").await;
        page.sees("#job-rows tr:nth-child(12)", "parity:1").await;
        assert_eq!(page.count("#job-rows tr").await, 12);
        assert_eq!(page.hash().await, "jobs?label=parity%3A1");

        let status = page.sees("[name=status]", "").await;
        let status = SelectElement::new(&status).await.unwrap();
        status.select_by_exact_text("error").await.unwrap();
        page.click("#jobs-form button").await;
        page.sees("#no-jobs", "").await;
        page.driver.back().await.unwrap();
        page.sees("#job-rows tr:nth-child(12)", "parity:1").await;

        page.view("#jobs?status=error").await;
        page.sees("#job-rows tr:nth-child(1)", "error").await;
        assert_eq!(page.count("#job-rows tr").await, 1);
        page.fill("[name=label]", "parity").await;
        page.click("#jobs-form button").await;
        page.sees("#problem", "400: `label` must be a name and a value")
            .await;
    });
}

#[test]
fn an_upload_is_identified_converted_and_shown() {
    let setup = Setup {
        refusals: &[422],
        ..Setup::default()
    };
    browse(&setup, async |page| {
        let picture = page.path("photo.of.me.png");
        fs::write(&picture, images::make("png", 300, 200)).unwrap();
        page.click("a[href='#try']").await;
        page.click("#try-form button").await;
        page.sees("[data-field=image] .error", "choose one").await;

        let chooser = page.driver.find(By::Css("[name=image]")).await.unwrap();
        chooser.send_keys(picture.to_str().unwrap()).await.unwrap();
        page.fill("[name=operation]", "resze 5").await;
        page.click("#try-form button").await;
        page.sees("[data-field=operation] .error", "did you mean `resize`?")
            .await;

        page.fill("[name=operation]", "resize 150x150\nquality 80")
            .await;
        page.fill("[name=format]", "webp").await;
        page.click("#try-form button").await;
        page.sees("#identity dd.format", "PNG").await;
        page.sees("#identity dd.width", "300").await;
        page.sees("#picture-facts", "image/webp, 150 × 100, ").await;
        let image = page.sees("#picture-image", "").await;
        for (property, value) in [("naturalWidth", "150"), ("naturalHeight", "100")] {
            assert_eq!(
                image.prop(property).await.unwrap().as_deref(),
                Some(value),
                "{property}"
            );
        }
        let link = page.sees("#picture-link", "Save it").await;
        let name = link.attr("download").await.unwrap();
        assert_eq!(name.as_deref(), Some("photo.of.me.webp"));
        assert_eq!(
            link.prop("href").await.unwrap(),
            image.prop("src").await.unwrap()
        );

        // What the browser can't show can still be saved.
        page.fill("[name=format]", "tiff").await;
        page.click("#try-form button").await;
        page.sees(
            "#picture-facts",
            "image/tiff, which this browser can't show, ",
        )
        .await;
        assert!(!image.is_displayed().await.unwrap());

        fs::write(page.path("no.png"), "no picture").unwrap();
        chooser
            .send_keys(page.path("no.png").to_str().unwrap())
            .await
            .unwrap();
        page.click("#try-form button").await;
        page.sees("#problem", "422: can't identify the image").await;
    });
}

#[test]
fn a_token_is_asked_for_and_kept_out_of_addresses() {
    let setup = Setup {
        refusals: &[401, 403, 422],
        environment: &[("IMAGO_TOKENS", TOKENS)],
        ..Setup::default()
    };
    browse(&setup, async |page| {
        page.click("a[href='#jobs']").await;
        page.sees("#problem", "The server wants a token").await;
        for (token, seen, text) in [
            ("wrong", "#problem", "401: "),
            ("look", "#no-jobs", "no such jobs"),
        ] {
            let field = page.driver.active_element().await.unwrap();
            assert_eq!(field.attr("id").await.unwrap().as_deref(), Some("token"));
            field.clear().await.unwrap();
            field.send_keys(format!("{token}\n")).await.unwrap();
            page.sees(seen, text).await;
            assert_eq!(page.hash().await, "jobs");
        }
        page.click("a[href='#submit']").await;
        page.click("[value=check]").await;
        page.sees("#problem", "The token may not do this.\n403: ")
            .await;

        // It lasts as long as the tab, and no longer than it is wanted.
        page.fill("#token", "test\n").await;
        page.driver.refresh().await.unwrap();
        page.click("[value=check]").await;
        page.sees("#problem", "422: ").await;
        let kept =
            page.evaluate("return [sessionStorage.length, localStorage.length, document.cookie]");
        assert_eq!(kept.await, json!([1, 0, ""]));
        page.fill("#token", "").await;
        page.click("#token-form button").await;
        page.click("[value=check]").await;
        page.sees("#problem", "401: ").await;
    });
}

#[test]
fn every_input_has_a_label_and_the_views_fit_a_phone() {
    let setup = Setup::default();
    browse(&setup, async |page| {
        let (width, height) = (360, 740);
        page.resize(width, height).await;
        fs::write(page.path("in.png"), images::make("png", 600, 400)).unwrap();
        let action = json!([{
            "infile": page.url("in.png"), "outfile": page.url("a-name-that-is-longer-than-a-phone-is-wide.png"),
        }]);
        let labels = json!({"label": "that also has a lot of words to say about the job, more than there is room for"});
        let id = page.submit(&action, &labels).await;
        let path = format!("/api/v1/work/{id}?timeout=30");
        page.api("GET", &path, &json!(null)).await;

        for (hash, selector, text) in [
            ("#submit", ".action", "From"),
            ("#jobs", "#job-rows", &*id),
            (&*format!("#job/{id}"), "#job-actions", "native"),
            ("#try", "#try-form", "Image"),
        ] {
            page.view(hash).await;
            page.sees(selector, text).await;
            let scrolled = page
                .evaluate("return [innerWidth, document.documentElement.scrollWidth]")
                .await;
            assert_eq!(scrolled, json!([width, width]), "{hash}");
        }
        let unlabelled = page
            .evaluate(
                "return [...document.querySelectorAll('input, select, textarea')]
                .filter((input) => !input.labels.length).map((input) => input.outerHTML)",
            )
            .await;
        assert_eq!(unlabelled, json!([]));
        page.restore_size().await;
    });
}
