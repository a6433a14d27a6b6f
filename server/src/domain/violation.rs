//! An invalid field of a request. The path of the field lets a client show the reason next to the input.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path from the request's root, such as `scheduled_job.parameters.past_days`.
    pub field: String,
    /// The mistake and the expected value, as a phrase.
    pub description: String,
}

impl Violation {
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }

    /// The violation with a path that starts at the parent message.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        if !parent.is_empty() {
            self.field = format!("{parent}.{}", self.field);
        }
        self
    }
}
