//! Listeners as clients find them, with curl as one.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::runtime::certificate_authority::CertificateAuthority;
use crate::service::Call;
use crate::service::testing::{context_with, create, desired};
use crate::{Context, Failure};

const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const CERTIFICATE: &str = "arn:aws:acm:us-east-1:000000000000:certificate/1";

/// An endpoint with a load balancer: its context, its folder, the load balancer's ARN.
async fn balancer() -> (Context, TempDir, String) {
    let (cx, folder) = context_with(vec![super::service()]);
    let properties = json!({"Subnets": ["subnet-1", "subnet-2"]});
    let made = create(&cx, "AWS::ElasticLoadBalancingV2::LoadBalancer", "Balancer", properties).await;
    let arn = made.expect("a load balancer").physical_id;
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
            "Protocol": "#{protocol}", "Host": "there", "Path": "/#{path}/seen", "StatusCode": "HTTP_302"}}],
    })
}

/// What curl prints, or its exit code where it fails.
async fn curl(arguments: &[&str]) -> Result<String, i32> {
    let output = Command::new("curl")
        .args(["-s", "-i", "--max-time", "20", "--noproxy", "*"])
        .args(arguments)
        .output()
        .await
        .expect("curl is installed");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(output.status.code().unwrap_or(-1)),
    }
}

fn trusting(authority: &Path) -> String {
    authority.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_served_to_whoever_trusts_the_endpoints_authority_and_to_nobody_else() {
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
    let authority = trusting(&CertificateAuthority::for_public_names(cx.state_dir()).path());
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/x");
        let answer = curl(&["--cacert", &authority, &url]).await.expect("an answer");
        assert!(answer.starts_with("HTTP/2 302"), "{answer}");
        assert!(
            answer.contains(&format!("location: https://there:{port}/x/seen")),
            "{answer}"
        );
    }
    let url = format!("https://localhost:{port}/");
    let older = curl(&["--cacert", &authority, "--http1.1", "--tls-max", "1.2", &url]).await;
    assert!(
        older.as_ref().is_ok_and(|said| said.starts_with("HTTP/1.1 302")),
        "{older:?}"
    );
    // 60: "Peer certificate cannot be authenticated with known CA certificates" (curl's manual, exit codes)
    assert_eq!(curl(&[&url]).await, Err(60));
    let clear = curl(&[&format!("http://localhost:{port}/")]).await.expect("an answer");
    assert!(
        clear.starts_with("HTTP/1.1 400") && clear.contains("The plain HTTP request was sent to HTTPS port"),
        "{clear}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_which_versions_are_spoken_and_the_listener_may_change_it() {
    let (cx, _folder, balancer) = balancer().await;
    let port = free_port();
    let newest = secure(&balancer, port, "ELBSecurityPolicy-TLS13-1-3-2021-06");
    let made = create(&cx, LISTENER, "Listener", newest.clone())
        .await
        .expect("a listener");
    let authority = trusting(&CertificateAuthority::for_public_names(cx.state_dir()).path());
    let url = format!("https://localhost:{port}/");
    let older = ["--cacert", &authority, "--tls-max", "1.2", &url];
    // 35: "A TLS/SSL connect error"
    assert_eq!(curl(&older).await, Err(35));
    assert!(curl(&["--cacert", &authority, &url]).await.is_ok());

    let mut changed = secure(&balancer, port, "ELBSecurityPolicy-TLS-1-2-2017-01");
    let kind = cx.resource_type(LISTENER).expect("the type");
    let update = |to: Value| desired("Listener", to);
    kind.update(&cx, &made.physical_id, &newest, &update(changed.clone()))
        .await
        .expect("changed");
    assert!(curl(&older).await.is_ok());
    assert_eq!(curl(&["--cacert", &authority, "--tlsv1.3", &url]).await, Err(35));

    for gone in ["SslPolicy", "Certificates"] {
        changed.as_object_mut().unwrap().remove(gone);
    }
    changed["Protocol"] = "HTTP".into();
    kind.update(&cx, &made.physical_id, &newest, &update(changed))
        .await
        .expect("changed");
    let clear = curl(&[&format!("http://localhost:{port}/")]).await.expect("an answer");
    assert!(
        clear.contains(&format!("location: http://there:{port}//seen")),
        "{clear}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_beside_it_redirects_there() {
    let (cx, _folder, balancer) = balancer().await;
    let port = free_port();
    let redirect = json!({
        "LoadBalancerArn": balancer, "Port": port, "Protocol": "HTTP",
        "DefaultActions": [{"Type": "redirect", "RedirectConfig": {
            "Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}],
    });
    create(&cx, LISTENER, "Redirect", redirect).await.expect("a listener");
    let answer = curl(&[&format!("http://localhost:{port}/docs/?a=1&b=2")])
        .await
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 301"), "{answer}");
    assert!(
        answer.contains("location: https://localhost/docs/?a=1&b=2\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_a_listener_cannot_be_is_said_before_a_port_is_opened() {
    let (cx, _folder, balancer) = balancer().await;
    let port = free_port();
    let fine = secure(&balancer, port, "ELBSecurityPolicy-TLS13-1-2-2021-06");
    let with = |property: &str, value: Value| {
        let mut properties = fine.clone();
        properties[property] = value;
        properties
    };
    let refused = [
        (with("Protocol", "TLS".into()), "speak HTTP and HTTPS, not TLS"),
        (with("Protocol", "HTTP".into()), "cannot be specified for HTTP"),
        (
            with("SslPolicy", "ELBSecurityPolicy-Tomorrow".into()),
            "'ELBSecurityPolicy-Tomorrow' not found",
        ),
        (with("Certificates", json!([])), "A certificate must be specified"),
        (
            with("Certificates", json!([{"CertificateArn": "mine"}])),
            "'mine' is not valid",
        ),
        (
            with("MutualAuthentication", json!({"Mode": "verify"})),
            "must be off, not verify",
        ),
    ];
    for (properties, words) in refused {
        let Err(Failure(message)) = create(&cx, LISTENER, "Listener", properties).await else {
            panic!("taken, and should have been refused: {words}");
        };
        assert!(message.contains(words), "{message}");
    }
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let Err(Failure(message)) = create(&cx, LISTENER, "Listener", fine.clone()).await else {
        panic!("a port that something else has");
    };
    assert!(message.contains(&format!("Stop what uses port {port}")), "{message}");
    drop(taken);
    create(&cx, LISTENER, "Listener", fine).await.expect("a listener");
    let call = Call {
        operation: "DescribeListeners".into(),
        input: json!({}),
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
