//! Regular expressions that clients name topics and transactional ids by (KIP-848, KIP-1152).
//!
//! RE2 syntax, matched against the whole name. `\w`, `\d` and `\s` are ASCII as in RE2,
//! which also keeps their repetitions small; expressions that need Unicode get it.

use regex::bytes::{Regex, RegexBuilder};

use crate::error::KafkaError;

/// Parsing takes some hundred times the memory of the expression.
const REGEX_MAX_LEN: usize = 1 << 16;
/// What a compiled expression may take, in bytes.
const REGEX_SIZE_LIMIT: usize = 4 << 20;
/// How deep an expression may be nested; parsing recurses.
const REGEX_NEST_LIMIT: u32 = 100;

/// A compiled expression.
pub struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// [`KafkaError::InvalidRegularExpression`]
    pub fn parse(regex: &str) -> Result<Self, KafkaError> {
        let invalid = |reason| Err(KafkaError::InvalidRegularExpression { reason });
        if regex.len() > REGEX_MAX_LEN {
            return invalid(format!("it is longer than {REGEX_MAX_LEN} bytes"));
        }
        // Alone first: brackets that only balance with the ones around it are no expression.
        match build(&unquoted(regex)).and_then(|_| compile(regex)) {
            Ok(regex) => Ok(Self(regex)),
            Err(error) => invalid(error.to_string()),
        }
    }

    /// One that has been parsed before.
    pub(crate) fn accepted(regex: &str) -> Option<Self> {
        compile(regex).ok().map(Self)
    }

    /// Whether the name matches as a whole.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name.as_bytes())
    }
}

fn compile(regex: &str) -> Result<Regex, regex::Error> {
    let whole = format!(r"\A(?:{})\z", unquoted(regex));
    build(&whole)
}

fn build(regex: &str) -> Result<Regex, regex::Error> {
    let build = |unicode| {
        RegexBuilder::new(regex)
            .unicode(unicode)
            .size_limit(REGEX_SIZE_LIMIT)
            .dfa_size_limit(REGEX_SIZE_LIMIT)
            .nest_limit(REGEX_NEST_LIMIT)
            .build()
    };
    build(false).or_else(|_| build(true))
}

/// Writes `\Q...\E`, which Java's `Pattern.quote` makes, with each character escaped.
fn unquoted(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut rest = regex.chars();
    while let Some(c) = rest.next() {
        out.push(c);
        if c != '\\' {
            continue;
        }
        match rest.next() {
            Some('Q') => {
                out.pop();
                let (quoted, after) = rest
                    .as_str()
                    .split_once("\\E")
                    .unwrap_or((rest.as_str(), ""));
                out.push_str(&regex::escape(quoted));
                rest = after.chars();
            }
            Some(escaped) => out.push(escaped),
            None => {}
        }
    }
    out
}
