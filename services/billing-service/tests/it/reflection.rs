//! gRPC reflection in the version of older clients.

use futures::stream;
use tonic_reflection::pb::v1alpha::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::support::TestApp;

#[tokio::test]
async fn reflection_answers_clients_of_v1alpha() {
    let Some(app) = TestApp::start().await else {
        return;
    };
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(app.channel.clone());
    let response = reflection.server_reflection_info(stream::iter([request])).await;
    let mut messages = response.expect("v1alpha is served").into_inner();
    let message = messages.message().await.expect("a message").expect("one message");
    let Some(MessageResponse::ListServicesResponse(list)) = message.message_response else {
        panic!("reflection must list the services");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(
        names.contains(&"billing.v1.BillingService") && names.contains(&"grpc.health.v1.Health"),
        "{names:?}"
    );
    app.stop().await;
}
