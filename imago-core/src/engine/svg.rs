//! SVG documents name other documents; one that comes from outside may name only itself.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::error::{Error, ErrorKind, Result};

/// Refuses an SVG document that refers to anything outside itself.
///
/// The renderer opens nothing either: it is given bytes without a base URL. This says so, instead of leaving a hole in
/// the picture. Links (`<a href>`) are not followed by anybody and stay.
pub(super) fn check(document: &[u8]) -> Result<()> {
    let mut reader = Reader::from_reader(document);
    let mut in_style = false;
    loop {
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                in_style = element.local_name().as_ref() == b"style";
                check_element(&element)?;
            }
            Ok(Event::Empty(element)) => check_element(&element)?,
            Ok(Event::End(_)) => in_style = false,
            Ok(Event::Text(text)) if in_style => check_style(&text)?,
            Ok(Event::CData(text)) if in_style => check_style(&text)?,
            Ok(Event::DocType(doctype)) if declares_entity(&doctype) => {
                return Err(refused(
                    "declares an entity, which may name a file; write its text where it is used",
                ));
            }
            Ok(Event::PI(instruction)) if instruction.starts_with(b"xml-stylesheet") => {
                return Err(refused(
                    "names a style sheet with `<?xml-stylesheet?>`; put the styles into a `<style>` element",
                ));
            }
            // Whether it is well-formed, the renderer says: it may put up with what this reader does not.
            Ok(Event::Eof) | Err(_) => return Ok(()),
            Ok(_) => {}
        }
    }
}

fn check_element(element: &BytesStart<'_>) -> Result<()> {
    let name = element.local_name();
    if name.as_ref() == b"include" {
        return Err(refused("includes another document with `include`"));
    }
    for attribute in element.attributes().flatten() {
        let key = attribute.key.local_name();
        let value = String::from_utf8_lossy(&attribute.value);
        let value = value.trim();
        match key.as_ref() {
            b"href" | b"src" if name.as_ref() != b"a" && !is_internal(value) => {
                return Err(outside(value));
            }
            _ => check_urls(value)?,
        }
    }
    Ok(())
}

fn check_style(style: &[u8]) -> Result<()> {
    let style = String::from_utf8_lossy(style);
    if style.contains("@import") {
        return Err(refused(
            "imports a style sheet with `@import`; put the styles into the document",
        ));
    }
    check_urls(&style)
}

/// Checks every `url(…)` in a style or an attribute.
fn check_urls(text: &str) -> Result<()> {
    for (at, _) in text.match_indices("url(") {
        let rest = &text[at + 4..];
        let url = rest
            .split(')')
            .next()
            .unwrap_or(rest)
            .trim()
            .trim_matches(['\'', '"']);
        if !is_internal(url) {
            return Err(outside(url));
        }
    }
    Ok(())
}

fn is_internal(reference: &str) -> bool {
    reference.is_empty() || reference.starts_with('#') || reference.starts_with("data:")
}

fn declares_entity(doctype: &[u8]) -> bool {
    doctype.windows(8).any(|window| window == b"<!ENTITY")
}

fn outside(reference: &str) -> Error {
    let shown: String = reference.chars().take(80).collect();
    refused(&format!(
        "refers to `{shown}`; only references into the document itself (`#id`) and `data:` URLs are allowed"
    ))
}

fn refused(why: &str) -> Error {
    Error::new(
        ErrorKind::BadImage,
        format!("it is an SVG image that {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_outside_the_document_are_refused() {
        let table = [
            r#"<svg><image href="file:///etc/passwd"/></svg>"#,
            r#"<svg xmlns:xlink="x"><image xlink:href="/etc/passwd"></image></svg>"#,
            r#"<svg><use href="other.svg#a"/></svg>"#,
            r#"<svg><style>@import "x.css";</style></svg>"#,
            "<svg><style><![CDATA[ a { fill: url(http://x/y) } ]]></style></svg>",
            r#"<svg><rect fill="url('file:///x#y')"/></svg>"#,
            r#"<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>"#,
            r#"<?xml-stylesheet href="x.css"?><svg/>"#,
            r#"<svg xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="/etc/passwd"/></svg>"#,
        ];
        for document in table {
            let error = check(document.as_bytes()).expect_err(document);
            assert_eq!(error.kind(), ErrorKind::BadImage, "{document}");
        }
    }

    #[test]
    fn a_document_on_its_own_is_let_through() {
        let table = [
            r##"<svg><defs><rect id="a"/></defs><use href="#a" fill="url(#b)"/></svg>"##,
            r#"<svg><image href="data:image/png;base64,AAAA"/></svg>"#,
            r#"<svg><a href="https://example.com/"><text>link</text></a></svg>"#,
            r#"<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"><svg/>"#,
            "<svg><style>rect { fill: url(#a) }</style></svg>",
        ];
        for document in table {
            assert!(check(document.as_bytes()).is_ok(), "{document}");
        }
    }
}
