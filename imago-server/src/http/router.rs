//! Which path is which resource, and what may be done to it.

use hyper::Method;
use matchit::Router;

use crate::tokens::Right;

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Work,
    Job,
    Events,
    Retry,
    Convert,
    Identify,
    Formats,
    Operations,
    Health,
    Ready,
    Metrics,
    OpenApi,
    Console,
    ConsoleScript,
    ConsoleStyle,
}

impl Resource {
    /// Every one.
    pub(super) const ALL: [Self; 15] = [
        Self::Work,
        Self::Job,
        Self::Events,
        Self::Retry,
        Self::Convert,
        Self::Identify,
        Self::Formats,
        Self::Operations,
        Self::Health,
        Self::Ready,
        Self::Metrics,
        Self::OpenApi,
        Self::Console,
        Self::ConsoleScript,
        Self::ConsoleStyle,
    ];

    /// The path, with its parameters by name.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Work => "/api/v1/work",
            Self::Job => "/api/v1/work/{id}",
            Self::Events => "/api/v1/work/{id}/events",
            Self::Retry => "/api/v1/work/{id}/retry",
            Self::Convert => "/api/v1/convert",
            Self::Identify => "/api/v1/identify",
            Self::Formats => "/api/v1/formats",
            Self::Operations => "/api/v1/operations",
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/openapi.json",
            Self::Console => "/",
            Self::ConsoleScript => "/console.js",
            Self::ConsoleStyle => "/console.css",
        }
    }

    /// The methods that the resource has, as `Allow` lists them.
    pub(super) const fn allow(self) -> &'static str {
        match self {
            Self::Work => "GET, HEAD, POST",
            Self::Job => "GET, HEAD, DELETE",
            Self::Retry | Self::Convert | Self::Identify => "POST",
            Self::Events
            | Self::Formats
            | Self::Operations
            | Self::Health
            | Self::Ready
            | Self::Metrics
            | Self::OpenApi
            | Self::Console
            | Self::ConsoleScript
            | Self::ConsoleStyle => "GET, HEAD",
        }
    }

    /// What who uses the method must have the right to; `None` where everyone may.
    pub(super) fn right(self, method: &Method) -> Option<Right> {
        match self {
            Self::Work | Self::Job if [Method::GET, Method::HEAD].contains(method) => {
                Some(Right::Read)
            }
            Self::Work | Self::Job | Self::Retry | Self::Convert | Self::Identify => {
                Some(Right::Write)
            }
            Self::Events | Self::Formats | Self::Operations => Some(Right::Read),
            Self::Metrics => Some(Right::Metrics),
            // Nothing but what every server of this version answers, and whether this one does.
            Self::Health
            | Self::Ready
            | Self::OpenApi
            | Self::Console
            | Self::ConsoleScript
            | Self::ConsoleStyle => None,
        }
    }

    /// Whether the resource has the method.
    pub(super) fn allows(self, method: &Method) -> bool {
        self.allow()
            .split(", ")
            .any(|allowed| allowed == method.as_str())
    }
}

/// All paths.
#[derive(Debug)]
pub(super) struct Routes(Router<Resource>);

impl Routes {
    pub(super) fn new() -> Self {
        let mut router = Router::new();
        for resource in Resource::ALL {
            router
                .insert(resource.path(), resource)
                .expect("the paths differ from each other");
        }
        Self(router)
    }

    /// The resource that the path names, and the `{id}` in it.
    pub(super) fn find<'p>(&self, path: &'p str) -> Option<(Resource, &'p str)> {
        let found = self.0.at(path).ok()?;
        // The parameter borrows from the router too; it is the segment of the path at its place.
        let id = found
            .params
            .get("id")
            .and_then(|id| path.split('/').find(|segment| *segment == id));
        let id = id.unwrap_or_default();
        Some((*found.value, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let routes = Routes::new();
        for (path, expected) in [
            ("/api/v1/work", Some((Resource::Work, ""))),
            ("/api/v1/work/abc", Some((Resource::Job, "abc"))),
            ("/api/v1/identify", Some((Resource::Identify, ""))),
            ("/api/v1/formats", Some((Resource::Formats, ""))),
            ("/api/v1/operations", Some((Resource::Operations, ""))),
            ("/healthz", Some((Resource::Health, ""))),
            ("/readyz", Some((Resource::Ready, ""))),
            ("/metrics", Some((Resource::Metrics, ""))),
            ("/api/v1/convert", Some((Resource::Convert, ""))),
            ("/api/v1/work/", None),
            ("/api/v1/work/abc/", None),
            ("/api/v1/work/abc/events", Some((Resource::Events, "abc"))),
            ("/api/v1/work/work/retry", Some((Resource::Retry, "work"))),
            ("/api/v1/work/abc/other", None),
            ("/api/v1", None),
            ("/API/v1/work", None),
            ("//api/v1/work", None),
            ("/", Some((Resource::Console, ""))),
            ("/console.js", Some((Resource::ConsoleScript, ""))),
            ("/console.css", Some((Resource::ConsoleStyle, ""))),
            ("/console", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(routes.find(path), expected, "{path}");
        }
    }

    #[test]
    fn methods() {
        for (resource, method, expected) in [
            (Resource::Work, "POST", true),
            (Resource::Work, "GET", true),
            (Resource::Work, "DELETE", false),
            (Resource::Retry, "POST", true),
            (Resource::Events, "GET", true),
            (Resource::Job, "GET", true),
            (Resource::Job, "HEAD", true),
            (Resource::Job, "DELETE", true),
            (Resource::Identify, "POST", true),
            (Resource::Formats, "GET", true),
            (Resource::Health, "HEAD", true),
            (Resource::Health, "OPTIONS", false),
            (Resource::Ready, "get", false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(resource.allows(&method), expected, "{resource:?} {method}");
        }
    }
}
