//! What each resource does: its parameters, what goes in, and what comes out.

use serde_json::{Value, json};

use super::super::router::Resource;
use super::super::{formats, health, identify, listing, operations, submission, submit};
use super::Schemas;
use crate::job::DocumentSchema;

/// Contents by their media types.
pub(super) type Body = Vec<(&'static str, Value)>;

/// What one method of a resource does.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<(u16, Success)>,
    /// The errors that it answers with.
    pub(super) problems: &'static [u16],
}

/// An answer that is no error.
pub(super) struct Success {
    pub(super) description: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) content: Body,
}

const LOCATION: &[(&str, &str)] = &[("Location", "Where the job is followed")];

/// What the methods of a resource do.
pub(super) fn of(resource: Resource, schemas: &mut Schemas) -> Vec<Endpoint> {
    let job = |schemas: &mut Schemas| {
        let schema = schemas.written::<DocumentSchema>();
        success("The job's document", json_body(schema))
    };
    match resource {
        Resource::Work => vec![submission_of(schemas), list(schemas)],
        Resource::Job => vec![
            Endpoint {
                parameters: vec![
                    job_id(),
                    query(
                        "timeout",
                        "Seconds for which the answer may be held back until the job has finished",
                        json!({"type": "number", "minimum": 0, "maximum": 3600, "default": 0}),
                    ),
                ],
                answers: vec![(200, job(schemas))],
                problems: &[400, 404, 500, 503],
                ..endpoint("get", "followJob", "Follow a job")
            },
            Endpoint {
                parameters: vec![job_id()],
                answers: vec![
                    (200, job(schemas)),
                    (
                        204,
                        success("The record of the finished job is deleted", vec![]),
                    ),
                ],
                problems: &[400, 404, 500, 503],
                ..endpoint(
                    "delete",
                    "removeJob",
                    "Cancel a job, or delete the record of a finished one",
                )
            },
        ],
        Resource::Events => vec![Endpoint {
            parameters: vec![job_id()],
            answers: vec![(
                200,
                success(
                    "An event `job` with the job's document at once and on every change, until it has finished",
                    vec![("text/event-stream", event())],
                ),
            )],
            problems: &[400, 404, 500, 503],
            ..endpoint(
                "get",
                "followJobEvents",
                "Follow a job by server-sent events",
            )
        }],
        Resource::Retry => vec![Endpoint {
            parameters: vec![job_id()],
            answers: vec![(
                202,
                Success {
                    headers: LOCATION,
                    ..job(schemas)
                },
            )],
            problems: &[400, 404, 429, 500, 503],
            ..endpoint(
                "post",
                "retryJob",
                "Run the actions once more that failed or were canceled",
            )
        }],
        Resource::Convert => vec![conversion()],
        Resource::Identify => vec![Endpoint {
            body: Some(image()),
            answers: vec![(
                200,
                success(
                    "What the image is",
                    json_body(schemas.written::<identify::Document<'_>>()),
                ),
            )],
            problems: &[400, 408, 413, 415, 422, 500, 503],
            ..endpoint("post", "identify", "Say what the image in the body is")
        }],
        Resource::Formats => vec![listed(
            "listFormats",
            "List what is read and written",
            schemas.written::<formats::FormatsDocument>(),
        )],
        Resource::Operations => vec![listed(
            "listOperations",
            "List every operation, and for a refused one why",
            schemas.written::<operations::Operations>(),
        )],
        Resource::OpenApi => vec![listed(
            "describe",
            "This document",
            json!({"type": "object"}),
        )],
        Resource::Health => vec![listed(
            "isAlive",
            "Say whether the process serves",
            schemas.written::<health::Healthy>(),
        )],
        Resource::Ready => vec![Endpoint {
            problems: &[500, 503],
            ..listed(
                "isReady",
                "Say whether work is accepted",
                schemas.written::<health::Healthy>(),
            )
        }],
        Resource::Metrics => vec![Endpoint {
            answers: vec![(
                200,
                success(
                    "All metrics",
                    vec![("application/openmetrics-text", json!({"type": "string"}))],
                ),
            )],
            problems: &[500],
            ..endpoint("get", "metrics", "Give the metrics to Prometheus")
        }],
        Resource::Console => vec![file("console", "Show the web console", "text/html")],
        Resource::ConsoleScript => {
            vec![file(
                "consoleScript",
                "Give the console's script",
                "text/javascript",
            )]
        }
        Resource::ConsoleStyle => {
            vec![file("consoleStyle", "Give the console's style", "text/css")]
        }
    }
}

fn submission_of(schemas: &mut Schemas) -> Endpoint {
    Endpoint {
        parameters: vec![
            query(
                "dry_run",
                "Queue nothing, and only say what would run",
                json!({"type": "boolean", "default": false}),
            ),
            json!({
                "name": "Idempotency-Key", "in": "header",
                "description": "A second submission with the same key within 24 hours is answered as the first, and queues nothing",
                "schema": {"type": "string", "pattern": r"^[!-~]([\t -~]{0,253}[!-~])?$"},
            }),
        ],
        body: Some(json_body(schemas.read::<submission::Work>())),
        answers: vec![
            (
                200,
                success(
                    "What would run",
                    json_body(schemas.written::<submit::DryRun<'_>>()),
                ),
            ),
            (
                202,
                Success {
                    headers: LOCATION,
                    ..success(
                        "The job is accepted, and runs whatever happens to the server",
                        json_body(schemas.written::<submit::Accepted>()),
                    )
                },
            ),
        ],
        problems: &[400, 408, 413, 415, 422, 429, 500, 503],
        ..endpoint("post", "submitJob", "Submit a job")
    }
}

fn list(schemas: &mut Schemas) -> Endpoint {
    let statuses = ["queued", "working", "done", "error", "canceled"];
    Endpoint {
        parameters: vec![
            query(
                "status",
                "Only jobs of this status",
                json!({"enum": statuses}),
            ),
            query(
                "label",
                "Only jobs with this label, as `name:value`; several must all be there",
                json!({
                    "type": "array", "maxItems": submission::MAX_LABELS,
                    "items": {"type": "string", "pattern": "^[^:]+:"},
                }),
            ),
            query(
                "created_after",
                "Only jobs that were created after this time",
                json!({"type": "string", "format": "date-time"}),
            ),
            query(
                "limit",
                "How many jobs a page has at most",
                json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}),
            ),
            query(
                "cursor",
                "What `next` of the page before says",
                json!({"type": "string", "pattern": "^[0-7][0-9a-f]{15}$"}),
            ),
        ],
        answers: vec![(
            200,
            success(
                "A page of jobs without their actions, the newest first",
                json_body(schemas.written::<listing::Document<'_>>()),
            ),
        )],
        problems: &[400, 500, 503],
        ..endpoint("get", "listJobs", "List jobs")
    }
}

fn conversion() -> Endpoint {
    let parameters = vec![
        query(
            "operation",
            "Operation strings, applied in order",
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        query(
            "format",
            "The result's format; by default the image's own",
            json!({"type": "string", "examples": ["webp"]}),
        ),
        query(
            "fidelity",
            "Whether a result close to ImageMagick's will do",
            json!({"enum": ["exact", "fast"], "default": "exact"}),
        ),
        query(
            "timeout",
            "Seconds that the conversion may take",
            json!({"type": "number", "exclusiveMinimum": 0}),
        ),
    ];
    Endpoint {
        parameters,
        body: Some(image()),
        answers: vec![(
            200,
            success("The converted image", vec![("*/*", json!({}))]),
        )],
        problems: &[400, 408, 413, 415, 422, 500, 503],
        ..endpoint("post", "convert", "Convert the image in the body")
    }
}

/// A file that the server brings.
fn file(id: &'static str, summary: &'static str, media_type: &'static str) -> Endpoint {
    let content = vec![(media_type, json!({"type": "string"}))];
    Endpoint {
        answers: vec![(200, success("The file", content))],
        problems: &[500],
        ..endpoint("get", id, summary)
    }
}

/// A list that needs nothing to be asked for.
fn listed(id: &'static str, summary: &'static str, schema: Value) -> Endpoint {
    Endpoint {
        answers: vec![(200, success("What was asked for", json_body(schema)))],
        problems: &[500],
        ..endpoint("get", id, summary)
    }
}

fn endpoint(method: &'static str, id: &'static str, summary: &'static str) -> Endpoint {
    Endpoint {
        method,
        id,
        summary,
        parameters: Vec::new(),
        body: None,
        answers: Vec::new(),
        problems: &[],
    }
}

fn success(description: &'static str, content: Body) -> Success {
    Success {
        description,
        headers: &[],
        content,
    }
}

fn json_body(schema: Value) -> Body {
    vec![("application/json", schema)]
}

fn image() -> Body {
    vec![
        ("application/octet-stream", json!({})),
        ("image/*", json!({})),
    ]
}

/// A server-sent event, field by field.
fn event() -> Value {
    json!({
        "type": "object",
        "properties": {
            "event": {"const": "job"},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": "#/components/schemas/Job"},
            },
        },
        "required": ["event", "data"],
    })
}

fn job_id() -> Value {
    json!({
        "name": "id", "in": "path", "required": true, "description": "The job's id",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    })
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    let mut parameter = json!({"name": name, "in": "query", "description": description});
    parameter["schema"] = schema;
    parameter
}
