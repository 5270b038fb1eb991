//! Why a file is no scenario.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_saphyr::localizer::Localizer;
use serde_saphyr::{DefaultMessageFormatter, Location, MessageFormatter, SnippetMode};

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read the scenario {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The text is no scenario.
    #[error("{}:{line}:{column}: {message} (docs/scenarios.md has all fields)", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line in it, from 1; 1 when the whole file is meant.
        line: u64,
        /// Column in the line, from 1.
        column: u64,
        /// The field, what was found and what is allowed.
        message: String,
    },
}

impl ScriptError {
    /// Something that no single line is to blame for; `message` names the field.
    pub(super) fn whole(path: &Path, message: String) -> Self {
        Self::Invalid { path: path.to_owned(), line: 1, column: 1, message }
    }
}

/// Reads YAML. Merge keys and a second document are refused, and the reader stops at its budgets for depth and size.
pub(super) fn read<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ScriptError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let mut field = None;
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            field = Some(error.path().to_string());
            error.into_inner()
        })
    });
    read.map_err(|error| invalid(path, field.as_deref(), &error))
}

fn invalid(path: &Path, field: Option<&str>, error: &serde_saphyr::Error) -> ScriptError {
    let text =
        error.render_with_options(serde_saphyr::render_options! { formatter: &Plain, snippets: SnippetMode::Off });
    let message = match field {
        Some(field) if field != "." => format!("{field}: {text}"),
        _ => text,
    };
    let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
    ScriptError::Invalid { path: path.to_owned(), line, column, message }
}

/// Words errors without their place, which stands in front of the message.
struct Plain;

impl MessageFormatter for Plain {
    fn localizer(&self) -> &dyn Localizer {
        &Self
    }

    fn format_message<'a>(&self, error: &'a serde_saphyr::Error) -> Cow<'a, str> {
        DefaultMessageFormatter.format_message(error)
    }
}

impl Localizer for Plain {
    fn attach_location<'a>(&self, base: Cow<'a, str>, _: Location) -> Cow<'a, str> {
        base
    }
}
