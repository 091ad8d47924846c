//! The door for AWS SDKs in the same process: an HTTP client without a network.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;

use crate::request::REQUEST_ID;
use crate::sim::Sim;

impl Sim {
    /// The HTTP client to give to the configuration of an AWS SDK.
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(InProcess(self.clone()));
        http_client_fn(move |_, _| connector.clone())
    }

    /// Answers one request of an AWS SDK, for a door that stands before this one.
    ///
    /// # Errors
    /// As of a connection that is closed without an answer, where a fault says so.
    pub async fn connect(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let user = |error: aws_smithy_runtime_api::http::HttpError| ConnectorError::user(error.into());
        let (parts, body) = request.try_into_http1x().map_err(user)?.into_parts();
        let body = body.bytes().ok_or_else(|| ConnectorError::user("the body is a stream".into()))?;
        let answer = self
            .answer(&parts, body)
            .await
            .ok_or_else(|| ConnectorError::io("the connection was closed without an answer".into()))?;
        let response = http::Response::builder()
            .status(answer.status)
            .header("content-type", answer.content_type)
            .header(REQUEST_ID, answer.request_id)
            .body(SdkBody::from(answer.body))
            .map_err(|error| ConnectorError::user(error.into()))?;
        HttpResponse::try_from(response).map_err(user)
    }
}

#[derive(Debug)]
struct InProcess(Sim);

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sim = self.0.clone();
        HttpConnectorFuture::new(async move { sim.connect(request).await })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

    use super::*;
    use crate::{Config, Effect, Fault, system_clock};

    fn who_am_i() -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::from("Action=GetCallerIdentity"));
        request.set_method("POST").unwrap();
        request.set_uri("https://sts.us-east-1.amazonaws.com/").unwrap();
        let scope = "Credential=222222222222/20261124/us-east-1/sts/aws4_request";
        request.headers_mut().insert("authorization", format!("AWS4-HMAC-SHA256 {scope}"));
        request
    }

    #[tokio::test]
    async fn an_sdk_reaches_the_world_without_a_socket() {
        let sim = Sim::new(Config::default(), system_clock());
        let response = sim.connect(who_am_i()).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let body = String::from_utf8_lossy(response.body().bytes().unwrap()).into_owned();
        assert!(body.contains("<Account>222222222222</Account>"), "{body}");
    }

    #[tokio::test]
    async fn a_closed_connection_is_an_input_output_error_to_the_sdk() {
        let sim = Sim::new(Config::default(), system_clock());
        sim.add_fault(Fault::new(Effect::RegionDown));
        assert!(sim.connect(who_am_i()).await.unwrap_err().is_io());
    }
}
