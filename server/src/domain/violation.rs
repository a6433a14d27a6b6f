//! What is wrong with a field of a request. It names the field by its path, so that a caller can
//! show the reason beside the input it belongs to.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path from the request's root, such as `scheduled_job.parameters.past_days`.
    pub field: String,
    /// What is wrong and what would be right, as a phrase.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }

    /// The same violation seen from the message around it.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        if !parent.is_empty() {
            self.field = format!("{parent}.{}", self.field);
        }
        self
    }
}
