//! What can go wrong, and what a Kafka client is told about it.

use kafka_core::code;

use crate::wire::{FrameError, Malformed};

/// Why a connection is closed. Everything else becomes an error code in a response.
#[derive(thiserror::Error, Debug)]
pub enum Fault {
    #[error("malformed request: {0}")]
    Malformed(#[from] Malformed),
    #[error("malformed frame: {0}")]
    Frame(#[from] FrameError),
    #[error("unsupported request: api key {api_key} version {api_version}")]
    Unsupported { api_key: i16, api_version: i16 },
    /// A producer that wants no answer learns of an error by losing its connection, as
    /// with Kafka.
    #[error("produce with acks=0 failed: {reason}")]
    UnacknowledgedProduce { reason: String },
    #[error("the peer took no bytes for {seconds} seconds")]
    WriteStalled { seconds: u64 },
    #[error("connection lost: {0}")]
    Io(#[from] std::io::Error),
    #[error("the handler panicked")]
    Panicked,
}

impl Fault {
    /// The peer went away: not worth more than a debug line.
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Frame(error) => error.is_disconnect(),
            Self::Io(_) => true,
            Self::Malformed(_)
            | Self::Unsupported { .. }
            | Self::UnacknowledgedProduce { .. }
            | Self::WriteStalled { .. }
            | Self::Panicked => false,
        }
    }
}

/// Why the database did not answer a call with rows.
#[derive(thiserror::Error, Debug, Clone)]
pub enum DbError {
    /// There was no session to send the call to: it has not happened.
    #[error("the database is away: {reason}")]
    Away { reason: String },
    /// The session broke, or fell silent, after the call was sent: it may have happened.
    #[error("the database session was lost: {reason}")]
    Lost { reason: String },
    /// The server refused the call.
    #[error("{message} (SQLSTATE {sqlstate})")]
    Server {
        sqlstate: String,
        message: String,
        detail: Option<String>,
        hint: Option<String>,
        /// The session ends with this error, perhaps after its transaction committed.
        fatal: bool,
    },
}

impl DbError {
    /// The transaction has surely not committed. A fatal error may follow a commit: a
    /// session ended while it waits for a synchronous standby has committed locally.
    pub fn surely_failed(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Lost { .. } => false,
            Self::Server { fatal, .. } => !fatal,
        }
    }

    /// The Kafka code for a client. `unavailable` is the one that makes this API's
    /// clients try again.
    pub fn code(&self, unavailable: i16) -> i16 {
        match self {
            Self::Away { .. } | Self::Lost { .. } => unavailable,
            Self::Server { sqlstate, .. } => match meaning(sqlstate) {
                Meaning::Kafka(code) => code,
                Meaning::Unavailable => unavailable,
                Meaning::NotPrimary => code::NOT_LEADER_OR_FOLLOWER,
                Meaning::Unauthorized => code::TOPIC_AUTHORIZATION_FAILED,
                Meaning::Unexpected => code::UNKNOWN_SERVER_ERROR,
            },
        }
    }

    /// The same for calls about groups.
    pub fn group_code(&self, unavailable: i16) -> i16 {
        match self.meaning() {
            Meaning::Kafka(code) => code,
            Meaning::Unavailable | Meaning::NotPrimary => unavailable,
            Meaning::Unauthorized => code::GROUP_AUTHORIZATION_FAILED,
            Meaning::Unexpected => code::UNKNOWN_SERVER_ERROR,
        }
    }

    /// The same for calls about transactions. `busy`: somebody else is at work on what the
    /// call is about.
    pub fn transaction_code(&self, unavailable: i16, busy: i16) -> i16 {
        match self.meaning() {
            Meaning::Kafka(code) => code,
            Meaning::Unavailable if self.is_conflict() || self.is_lock_timeout() => busy,
            Meaning::Unavailable | Meaning::NotPrimary => unavailable,
            Meaning::Unauthorized => code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            Meaning::Unexpected => code::UNKNOWN_SERVER_ERROR,
        }
    }

    /// Somebody else's open database transaction holds what the call needs.
    pub fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Server { sqlstate, .. } if sqlstate == "55P03")
    }

    /// A deadlock or a serialization failure: the same call may succeed at once.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Server { sqlstate, fatal: false, .. }
            if matches!(sqlstate.as_str(), "40001" | "40P01"))
    }

    pub fn meaning(&self) -> Meaning {
        match self {
            Self::Away { .. } | Self::Lost { .. } => Meaning::Unavailable,
            Self::Server { sqlstate, .. } => meaning(sqlstate),
        }
    }

    /// What a response's `error_message` says: the server's own words, and the ids and
    /// the remedy where it names them.
    pub fn client_message(&self) -> String {
        let Self::Server {
            message,
            detail,
            hint,
            ..
        } = self
        else {
            return self.to_string();
        };
        let mut text = message.clone();
        for more in [detail, hint].into_iter().flatten() {
            text.push_str("; ");
            text.push_str(more.trim_end_matches('.'));
        }
        shorten(text)
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::Severity;
        let Some(server) = error.as_db_error() else {
            let reason = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            return Self::Lost { reason };
        };
        let fatal = matches!(
            server.parsed_severity(),
            Some(Severity::Fatal | Severity::Panic)
        );
        Self::Server {
            sqlstate: server.code().code().to_owned(),
            message: server.message().to_owned(),
            detail: server.detail().map(str::to_owned),
            hint: server.hint().map(str::to_owned),
            fatal,
        }
    }
}

/// What a SQLSTATE says to somebody who speaks Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The extension raised a Kafka error.
    Kafka(i16),
    /// Try again: later, or on another session.
    Unavailable,
    /// The server is a standby or refuses writes.
    NotPrimary,
    Unauthorized,
    Unexpected,
}

/// `KFnnn` carries a Kafka code; the rest is PostgreSQL's, by class.
pub fn meaning(sqlstate: &str) -> Meaning {
    if let Some(code) = sqlstate.strip_prefix("KF") {
        return code.parse().map_or(Meaning::Unexpected, Meaning::Kafka);
    }
    match sqlstate {
        // invalid_regular_expression
        "2201B" => Meaning::Kafka(code::INVALID_REGULAR_EXPRESSION),
        // read_only_sql_transaction
        "25006" => Meaning::NotPrimary,
        // insufficient_privilege
        "42501" => Meaning::Unauthorized,
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03"
        // the extension is gone or being replaced: undefined_function,
        // invalid_schema_name, feature_not_supported (a cached plan's result type),
        // invalid_sql_statement_name
        | "42883" | "3F000" | "0A000" | "26000" => Meaning::Unavailable,
        _ => match sqlstate.get(..2) {
            // connection exception, insufficient resources, operator intervention
            // (57014 query_canceled, 57P0x shutdown), system error
            Some("08" | "53" | "57" | "58") => Meaning::Unavailable,
            _ => Meaning::Unexpected,
        },
    }
}

/// Response strings of old versions carry at most 32,767 bytes, and nobody reads more
/// than a few lines.
pub fn shorten(mut text: String) -> String {
    const LIMIT: usize = 1000;
    if text.len() > LIMIT {
        let end = (0..=LIMIT)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(sqlstate: &str) -> DbError {
        DbError::Server {
            sqlstate: sqlstate.into(),
            message: "no".into(),
            detail: None,
            hint: None,
            fatal: false,
        }
    }

    #[test]
    fn sqlstates_have_kafka_codes() {
        let unavailable = code::LEADER_NOT_AVAILABLE;
        let table = [
            ("KF001", code::OFFSET_OUT_OF_RANGE),
            ("KF036", code::TOPIC_ALREADY_EXISTS),
            ("KF100", code::UNKNOWN_TOPIC_ID),
            ("KFxyz", code::UNKNOWN_SERVER_ERROR),
            ("2201B", code::INVALID_REGULAR_EXPRESSION),
            ("25006", code::NOT_LEADER_OR_FOLLOWER),
            ("42501", code::TOPIC_AUTHORIZATION_FAILED),
            ("40001", unavailable),
            ("40P01", unavailable),
            ("55P03", unavailable),
            ("57014", unavailable),
            ("57P01", unavailable),
            ("57P03", unavailable),
            ("53100", unavailable),
            ("53300", unavailable),
            ("08006", unavailable),
            ("58030", unavailable),
            ("42883", unavailable),
            ("3F000", unavailable),
            ("0A000", unavailable),
            ("26000", unavailable),
            ("22021", code::UNKNOWN_SERVER_ERROR),
            ("XX000", code::UNKNOWN_SERVER_ERROR),
            ("42P01", code::UNKNOWN_SERVER_ERROR),
            ("", code::UNKNOWN_SERVER_ERROR),
        ];
        for (sqlstate, expected) in table {
            assert_eq!(server(sqlstate).code(unavailable), expected, "{sqlstate}");
        }
        let away = DbError::Away { reason: "x".into() };
        assert_eq!(away.code(unavailable), unavailable);
        let lost = DbError::Lost { reason: "x".into() };
        assert_eq!(lost.code(unavailable), unavailable);
    }

    #[test]
    fn groups_have_codes_of_their_own() {
        let unavailable = code::NOT_COORDINATOR;
        let table = [
            ("KF025", code::UNKNOWN_MEMBER_ID),
            ("25006", unavailable),
            ("55P03", unavailable),
            ("42883", unavailable),
            ("42501", code::GROUP_AUTHORIZATION_FAILED),
            ("22021", code::UNKNOWN_SERVER_ERROR),
        ];
        for (sqlstate, expected) in table {
            let error = server(sqlstate);
            assert_eq!(error.group_code(unavailable), expected, "{sqlstate}");
        }
    }

    #[test]
    fn transactions_have_codes_of_their_own() {
        let unavailable = code::COORDINATOR_NOT_AVAILABLE;
        let busy = code::CONCURRENT_TRANSACTIONS;
        let table = [
            ("KF090", code::PRODUCER_FENCED),
            ("55P03", busy),
            ("40P01", busy),
            ("40001", busy),
            ("25006", unavailable),
            ("57P01", unavailable),
            ("42883", unavailable),
            ("42501", code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
            ("XX000", code::UNKNOWN_SERVER_ERROR),
        ];
        for (sqlstate, expected) in table {
            let error = server(sqlstate);
            let told = error.transaction_code(unavailable, busy);
            assert_eq!(told, expected, "{sqlstate}");
        }
        let lost = DbError::Lost { reason: "x".into() };
        assert_eq!(lost.transaction_code(unavailable, busy), unavailable);
    }

    #[test]
    fn only_an_error_response_proves_a_failed_transaction() {
        assert!(server("40001").surely_failed());
        let DbError::Server {
            sqlstate, message, ..
        } = server("57P01")
        else {
            unreachable!()
        };
        let fatal = DbError::Server {
            sqlstate,
            message,
            detail: None,
            hint: None,
            fatal: true,
        };
        assert!(!fatal.surely_failed());
        assert!(!DbError::Lost { reason: "x".into() }.surely_failed());
        assert!(DbError::Away { reason: "x".into() }.surely_failed());
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let cut = shorten("ä".repeat(600));
        assert!(cut.len() <= 1003 && cut.ends_with("ä..."));
    }
}
