//! `GET /openapi.json`: the API as [OpenAPI 3.1], made of the types that the handlers read and write.
//!
//! [`endpoints`] says what there is, [`Schemas`] what goes in and comes out.
//!
//! [OpenAPI 3.1]: https://spec.openapis.org/oas/v3.1.1.html

mod endpoints;

use std::sync::OnceLock;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use self::endpoints::{Body, Endpoint};
use super::problem::title;
use super::router::Resource;
use super::{Answer, whole};

/// `GET /openapi.json` of a server that wants tokens, or of one that does not.
pub(super) fn document(has_tokens: bool) -> Answer {
    static DOCUMENTS: [OnceLock<Bytes>; 2] = [OnceLock::new(), OnceLock::new()];
    let document = &DOCUMENTS[usize::from(has_tokens)];
    let document = document.get_or_init(|| api(has_tokens).to_string().into());
    whole(StatusCode::OK, "application/json", document.clone())
}

/// The schemas of the API's types, each once, under its name.
struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    /// What the server reads.
    fn read<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().to_value()
    }

    /// What the server writes.
    fn written<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    fn finish(mut self) -> Map<String, Value> {
        let mut all = self.written.take_definitions(true);
        all.extend(self.read.take_definitions(true));
        all
    }
}

/// The whole document.
fn api(has_tokens: bool) -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.written::<super::problem::Document<'_>>();
    let mut paths = Map::new();
    for resource in Resource::ALL {
        let mut path = Map::new();
        for endpoint in endpoints::of(resource, &mut schemas) {
            let method = endpoint.method;
            // The method's name is in lower case here.
            let needs_token = has_tokens
                && Method::try_from(method.to_uppercase().as_str())
                    .is_ok_and(|method| resource.right(&method).is_some());
            path.insert(
                method.to_owned(),
                operation(endpoint, &problem, needs_token),
            );
        }
        paths.insert(resource.path().to_owned(), path.into());
    }
    let mut components = json!({"schemas": schemas.finish()});
    if has_tokens {
        components["securitySchemes"] = json!({"token": {"type": "http", "scheme": "bearer"}});
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Imago",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Converts images that lie in object stores, in batches.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": components,
    })
}

fn operation(endpoint: Endpoint, problem: &Value, needs_token: bool) -> Value {
    let mut responses = Map::new();
    for (status, answer) in endpoint.answers {
        let mut headers = request_id();
        for (name, description) in answer.headers {
            headers.insert((*name).to_owned(), header(description));
        }
        let mut response = json!({"description": answer.description, "headers": headers});
        if !answer.content.is_empty() {
            response["content"] = content(answer.content);
        }
        if status == 202 {
            response["links"] = links();
        }
        responses.insert(status.to_string(), response);
    }
    let refusals = if needs_token { &[401, 403][..] } else { &[] };
    for &status in endpoint.problems.iter().chain(refusals) {
        let mut headers = request_id();
        if refusals.contains(&status) {
            headers.insert(
                "WWW-Authenticate".to_owned(),
                header("What kind of token is wanted"),
            );
        }
        if [429, 503].contains(&status) {
            headers.insert(
                "Retry-After".to_owned(),
                header("Seconds after which to try again"),
            );
        }
        let name = StatusCode::from_u16(status).map_or("Error", title);
        responses.insert(
            status.to_string(),
            json!({
                "description": name,
                "headers": headers,
                "content": {"application/problem+json": {"schema": problem}},
            }),
        );
    }
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "parameters": endpoint.parameters,
        "responses": responses,
    });
    if needs_token {
        operation["security"] = json!([{"token": []}]);
    }
    if let Some(body) = endpoint.body {
        operation["requestBody"] = json!({"required": true, "content": content(body)});
    }
    operation
}

/// What can be done with a job whose document or id an answer has.
fn links() -> Value {
    ["followJob", "followJobEvents", "removeJob", "retryJob"]
        .map(|id| {
            let link = json!({"operationId": id, "parameters": {"id": "$response.body#/id"}});
            (id.to_owned(), link)
        })
        .into_iter()
        .collect::<Map<_, _>>()
        .into()
}

fn content(body: Body) -> Value {
    body.into_iter()
        .map(|(media_type, schema)| (media_type.to_owned(), json!({"schema": schema})))
        .collect::<Map<_, _>>()
        .into()
}

fn request_id() -> Map<String, Value> {
    let description = "The request's `X-Request-Id` if it was sane, else a fresh one";
    Map::from_iter([("X-Request-Id".to_owned(), header(description))])
}

fn header(description: &str) -> Value {
    json!({"description": description, "required": true, "schema": {"type": "string"}})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_has_every_route_and_no_other() {
        let api = api(true);
        let described: BTreeSet<_> = api["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let routed: BTreeSet<_> = Resource::ALL
            .into_iter()
            .flat_map(|resource| {
                let methods = resource.allow().split(", ");
                // HEAD is GET without the body, and described with it.
                let methods = methods.filter(|method| *method != "HEAD");
                methods.map(move |method| format!("{method} {}", resource.path()))
            })
            .collect();
        assert_eq!(described, routed);
    }

    /// Every `$ref` leads somewhere.
    #[test]
    fn references_resolve() {
        fn walk(value: &Value, api: &Value) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(target)) = members.get("$ref") {
                        let pointer = target.strip_prefix('#').unwrap();
                        assert!(api.pointer(pointer).is_some(), "{target}");
                    }
                    members.values().for_each(|value| walk(value, api));
                }
                Value::Array(values) => values.iter().for_each(|value| walk(value, api)),
                _ => {}
            }
        }
        let api = api(true);
        walk(&api, &api);
        let schemas = api["components"]["schemas"].as_object().unwrap();
        for name in [
            "Submission",
            "Job",
            "ActionResult",
            "Failure",
            "Problem",
            "JobList",
        ] {
            assert!(schemas.contains_key(name), "{name}: {:?}", schemas.keys());
        }
    }
}
