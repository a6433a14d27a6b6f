//! Unary calls of `PropertyService`. The proto files are the reference.

use super::Raw;
use crate::client::Retry;
use crate::{Error, proto};

impl Raw<'_> {
    /// Returns one page of properties.
    pub async fn list_properties(
        self,
        request: proto::ListPropertiesRequest,
    ) -> Result<proto::ListPropertiesResponse, Error> {
        self.0
            .call("ListProperties", Retry::Safe, request, |route, request| async move {
                route.properties().list_properties(request).await
            })
            .await
    }

    /// Returns a property with its newest changes.
    pub async fn get_property(
        self,
        request: proto::GetPropertyRequest,
    ) -> Result<proto::GetPropertyResponse, Error> {
        self.0
            .call("GetProperty", Retry::Safe, request, |route, request| async move {
                route.properties().get_property(request).await
            })
            .await
    }
}
