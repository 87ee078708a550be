//! What stands behind a path's `?`. A parameter that is not known is refused: misspelt, it would do nothing.

use std::borrow::Cow;

use hyper::StatusCode;

use super::problem::Problem;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Query<'q>(Vec<(Cow<'q, str>, Cow<'q, str>)>);

impl<'q> Query<'q> {
    /// Reads the parameters. All names are among these; only `label` may come several times.
    pub(super) fn parse(query: Option<&'q str>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters: Vec<(Cow<'q, str>, Cow<'q, str>)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                let there_are = match known {
                    [] => "this request has none".to_owned(),
                    [only] => format!("the only one is `{only}`"),
                    several => format!("there are `{}`", several.join("`, `")),
                };
                return Err(bad(format!(
                    "there is no query parameter `{}`; {there_are}",
                    shown(&name)
                )));
            }
            if name != "label" && parameters.iter().any(|(other, _)| *other == name) {
                return Err(bad(format!("`{name}` is given more than once")));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter, if it is given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| &**value)
    }

    /// All values of a parameter.
    pub(super) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> + 's {
        self.0
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| &**value)
    }

    /// What `read` makes of a parameter, if it is given; refused with what was expected where it makes nothing of it.
    pub(super) fn read<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(bad(format!(
                "`{name}` must be {expected}, got `{}`",
                shown(value)
            ))),
        }
    }
}

fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// What a client sent, as far as a sentence can show it.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}
