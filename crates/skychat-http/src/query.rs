//! The part of a target behind the question mark. Everything the routes take is keys, numbers,
//! cursors and words, so nothing needs escapes; one that has them anyway is malformed.

use skychat_api::Code;

use crate::answer::Refusal;

/// The parameters of a request, each at most once.
#[derive(Debug)]
pub(crate) struct Query<'a>(Vec<(&'a str, &'a str)>);

/// Parameters a query may have.
const MAX: usize = 16;

impl<'a> Query<'a> {
    /// Reads a query in which only `known` parameters stand.
    pub(crate) fn parse(text: Option<&'a str>, known: &[&str]) -> Result<Self, Refusal> {
        let mut all: Vec<(&str, &str)> = Vec::new();
        for part in text
            .unwrap_or_default()
            .split('&')
            .filter(|part| !part.is_empty())
        {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !known.contains(&name) || all.len() >= MAX {
                return Err(Refusal::new(
                    Code::BadRequest,
                    format!(
                        "{:?} is no parameter of this route: {}",
                        clip(name),
                        known.join(", ")
                    ),
                ));
            }
            if all.iter().any(|(other, _)| *other == name) {
                return Err(Refusal::new(
                    Code::BadRequest,
                    format!("{name} stands there twice"),
                ));
            }
            all.push((name, value));
        }
        Ok(Self(all))
    }

    /// The value of a parameter; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| *value)
            .filter(|v| !v.is_empty())
    }

    /// The value of a parameter, parsed.
    pub(crate) fn parsed<T>(&self, name: &str, code: Code) -> Result<Option<T>, Refusal>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        self.get(name)
            .map(str::parse)
            .transpose()
            .map_err(|error| Refusal::new(code, format!("{name}: {error}")))
    }
}

/// The beginning of a text of a client, for a message about it.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_known_and_stand_once() {
        let known = ["after", "types"];
        let query = Query::parse(Some("after=0a0a0a0a-1&types=&"), &known).unwrap();
        assert_eq!(query.get("after"), Some("0a0a0a0a-1"));
        assert_eq!(query.get("types"), None);
        assert!(Query::parse(None, &known).unwrap().get("after").is_none());
        for text in ["token=x", "after=1&after=2", "After=1", "=1"] {
            let error = Query::parse(Some(text), &known).unwrap_err();
            assert_eq!(error.0.code, Code::BadRequest, "{text}");
        }
        let number = Query::parse(Some("after=x"), &known).unwrap();
        let error = number
            .parsed::<u32>("after", Code::MalformedCursor)
            .unwrap_err();
        assert_eq!(error.0.code, Code::MalformedCursor);
    }
}
