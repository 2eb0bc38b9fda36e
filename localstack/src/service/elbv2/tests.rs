//! Listeners as a client sees them; the client is curl.

use std::net::TcpListener;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::Context;
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::service::Call;
use crate::service::testing::{context_with, create, desired, error_code};

const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const CERTIFICATE: &str = "arn:aws:acm:us-east-1:000000000000:certificate/1";

/// Returns an endpoint with a load balancer: its context, its folder, the load balancer's ARN.
async fn balancer() -> (Context, TempDir, String) {
    let (cx, folder) = context_with(vec![super::service()]);
    let properties = json!({"Subnets": ["subnet-1", "subnet-2"]});
    let created = create(&cx, "AWS::ElasticLoadBalancingV2::LoadBalancer", "Balancer", properties).await;
    let arn = created.expect("a load balancer").physical_id;
    (cx, folder, arn)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn secure(balancer: &str, port: u16, policy: &str) -> Value {
    json!({
        "LoadBalancerArn": balancer, "Port": port, "Protocol": "HTTPS", "SslPolicy": policy,
        "Certificates": [{"CertificateArn": CERTIFICATE}],
        "DefaultActions": [{"Type": "redirect", "RedirectConfig": {
            "Protocol": "#{protocol}", "Host": "target", "Path": "/#{path}/end", "StatusCode": "HTTP_302"}}],
    })
}

/// Returns the output of curl, or its exit code if it fails.
async fn curl(arguments: &[&str]) -> Result<String, i32> {
    let output = Command::new("curl")
        .args(["-s", "-i", "--max-time", "20", "--noproxy", "*"])
        .args(arguments)
        .output()
        .await
        .expect("curl is installed");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(output.status.code().unwrap_or(-1))
    }
}

/// Returns the path of the endpoint's public CA certificate.
fn ca_file(cx: &Context) -> String {
    CertificateAuthority::for_public_names(cx.root_dir())
        .path()
        .display()
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_served_only_to_clients_that_trust_the_endpoints_ca() {
    let (cx, _folder, balancer) = balancer().await;
    let port = free_port();
    create(
        &cx,
        LISTENER,
        "Listener",
        secure(&balancer, port, "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"),
    )
    .await
    .expect("a listener");
    let ca_file = ca_file(&cx);
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/x");
        let response = curl(&["--cacert", &ca_file, &url]).await.expect("a response");
        assert!(response.starts_with("HTTP/2 302"), "{response}");
        assert!(
            response.contains(&format!("location: https://target:{port}/x/end")),
            "{response}"
        );
    }
    let url = format!("https://localhost:{port}/");
    let older = curl(&["--cacert", &ca_file, "--http1.1", "--tls-max", "1.2", &url]).await;
    assert!(
        older
            .as_ref()
            .is_ok_and(|response| response.starts_with("HTTP/1.1 302")),
        "{older:?}"
    );
    // 60: "Peer certificate cannot be authenticated with known CA certificates" (curl's manual, exit codes)
    assert_eq!(curl(&[&url]).await, Err(60));
    let clear = curl(&[&format!("http://localhost:{port}/")]).await.expect("a response");
    assert!(
        clear.starts_with("HTTP/1.1 400") && clear.contains("The plain HTTP request was sent to HTTPS port"),
        "{clear}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_selects_the_tls_versions_and_can_be_changed() {
    let (cx, _folder, balancer) = balancer().await;
    let port = free_port();
    let newest = secure(&balancer, port, "ELBSecurityPolicy-TLS13-1-3-2021-06");
    let created = create(&cx, LISTENER, "Listener", newest.clone())
        .await
        .expect("a listener");
    let ca_file = ca_file(&cx);
    let url = format!("https://localhost:{port}/");
    let older = ["--cacert", &ca_file, "--tls-max", "1.2", &url];
    // 35: "A TLS/SSL connect error"
    assert_eq!(curl(&older).await, Err(35));
    assert!(curl(&["--cacert", &ca_file, &url]).await.is_ok());

    let mut changed = secure(&balancer, port, "ELBSecurityPolicy-TLS-1-2-2017-01");
    let kind = cx.resource_type(LISTENER).expect("the type");
    let update = |to: Value| desired("Listener", to);
    kind.update(&cx, &created.physical_id, &newest, &update(changed.clone()))
        .await
        .expect("changed");
    assert!(curl(&older).await.is_ok());
    assert_eq!(curl(&["--cacert", &ca_file, "--tlsv1.3", &url]).await, Err(35));

    for property in ["SslPolicy", "Certificates"] {
        changed.as_object_mut().unwrap().remove(property);
    }
    changed["Protocol"] = "HTTP".into();
    kind.update(&cx, &created.physical_id, &newest, &update(changed))
        .await
        .expect("changed");
    let clear = curl(&[&format!("http://localhost:{port}/")]).await.expect("a response");
    assert!(
        clear.contains(&format!("location: http://target:{port}//end")),
        "{clear}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_listener_redirects_to_https() {
    let (cx, _folder, balancer) = balancer().await;
    let port = free_port();
    let redirect = json!({
        "LoadBalancerArn": balancer, "Port": port, "Protocol": "HTTP",
        "DefaultActions": [{"Type": "redirect", "RedirectConfig": {
            "Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}],
    });
    create(&cx, LISTENER, "Redirect", redirect).await.expect("a listener");
    let response = curl(&[&format!("http://localhost:{port}/docs/?a=1&b=2")])
        .await
        .expect("a response");
    assert!(response.starts_with("HTTP/1.1 301"), "{response}");
    assert!(
        response.contains("location: https://localhost/docs/?a=1&b=2\r\n"),
        "{response}"
    );
}

#[tokio::test]
async fn an_invalid_listener_is_rejected_before_a_port_is_opened() {
    let (cx, _folder, balancer) = balancer().await;
    let port = free_port();
    let fine = secure(&balancer, port, "ELBSecurityPolicy-TLS13-1-2-2021-06");
    let with = |property: &str, value: Value| {
        let mut properties = fine.clone();
        properties[property] = value;
        properties
    };
    let invalid = [
        with("Protocol", "TLS".into()),
        with("Protocol", "HTTP".into()),
        with("SslPolicy", "ELBSecurityPolicy-Tomorrow".into()),
        with("Certificates", json!([])),
        with("Certificates", json!([{"CertificateArn": "mine"}])),
        with("MutualAuthentication", json!({"Mode": "verify"})),
    ];
    let mut rejections = Vec::new();
    for properties in invalid {
        let rejected = create(&cx, LISTENER, "Listener", properties).await;
        rejections.push(rejected.expect_err("an invalid listener").to_string());
    }
    insta::assert_snapshot!(rejections.join("\n"), @r"
    Listener protocol 'TLS' must be one of 'HTTP, HTTPS' (ValidationError)
    A certificate cannot be specified for HTTP listeners (ValidationError)
    SSL policy 'ELBSecurityPolicy-Tomorrow' not found (SSLPolicyNotFound)
    A certificate must be specified for HTTPS listeners: exactly one, by its CertificateArn (ValidationError)
    Certificate ARN 'mine' is not valid: it names no certificate of ACM or IAM (CertificateNotFound)
    The embedded endpoint does not support client certificates: MutualAuthentication must be off, not verify. (ValidationError)
    ");
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let in_use = create(&cx, LISTENER, "Listener", fine.clone()).await;
    assert_eq!(error_code(&in_use.unwrap_err()), Some("PortNotAvailable"));
    drop(taken);
    create(&cx, LISTENER, "Listener", fine).await.expect("a listener");
    let call = Call {
        operation: "DescribeListeners".into(),
        input: json!({"LoadBalancerArn": balancer}),
        region: "us-east-1".into(),
    };
    let shown = cx
        .service("elasticloadbalancing")
        .unwrap()
        .call(&cx, call)
        .await
        .expect("listeners");
    let listener = &shown["Listeners"][0];
    assert_eq!(listener["Protocol"], "HTTPS");
    assert_eq!(listener["Certificates"], json!([{"CertificateArn": CERTIFICATE}]));
    assert_eq!(listener["SslPolicy"], "ELBSecurityPolicy-TLS13-1-2-2021-06");
}
