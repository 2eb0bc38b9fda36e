//! Logins by single sign-on that are refused: forged tokens, other browsers, failures of the provider.

use auth_service::oidc::Settings;
use http::StatusCode;
use serde_json::{Value, json};

use crate::fake_provider::{CLIENT_ID, Token};
use crate::single_sign_on::{begin, complete, configure, get, log_in, start, users};

/// Its name, the change of the token, and the status of the response.
type Case = (&'static str, fn(&mut Token), StatusCode);

#[tokio::test]
async fn an_id_token_that_is_not_for_this_login_is_refused() {
    let Some((app, provider)) = start().await else { return };
    let before = users(&app).await;
    let (bad, login) = (StatusCode::BAD_GATEWAY, StatusCode::BAD_REQUEST);
    let cases: [Case; 19] = [
        (
            "algorithm none",
            |t| (t.header["alg"], t.signature) = (json!("none"), Some(String::new())),
            bad,
        ),
        (
            "algorithm HS256",
            |t| t.header = json!({"alg": "HS256", "kid": "symmetric"}),
            bad,
        ),
        ("algorithm RS256", |t| t.header["alg"] = json!("RS256"), bad),
        ("unknown key", |t| t.header["kid"] = json!("unknown"), bad),
        ("critical extension", |t| t.header["crit"] = json!(["b64"]), bad),
        ("forged signature", |t| t.signature = Some("A".repeat(86)), bad),
        ("no signature", |t| t.signature = Some(String::new()), bad),
        (
            "other issuer",
            |t| t.claims["iss"] = json!("https://other.example"),
            bad,
        ),
        ("other audience", |t| t.claims["aud"] = json!("other"), bad),
        (
            "several audiences",
            |t| t.claims["aud"] = json!([CLIENT_ID, "other"]),
            bad,
        ),
        ("other authorized party", |t| t.claims["azp"] = json!("other"), bad),
        (
            "expired",
            |t| t.claims["exp"] = json!(t.claims["iat"].as_i64().unwrap() - 61),
            bad,
        ),
        ("without an end", |t| t.claims["exp"] = Value::Null, bad),
        (
            "not yet valid",
            |t| t.claims["nbf"] = json!(t.claims["iat"].as_i64().unwrap() + 90),
            bad,
        ),
        ("no subject", |t| t.claims["sub"] = json!(""), bad),
        ("long subject", |t| t.claims["sub"] = json!("x".repeat(256)), bad),
        ("NUL in the subject", |t| t.claims["sub"] = json!("a\0b"), bad),
        ("other nonce", |t| t.claims["nonce"] = json!("other"), login),
        ("no nonce", |t| t.claims["nonce"] = Value::Null, login),
    ];
    for (name, forge, expected) in cases {
        provider.forge(forge);
        let (status, body) = log_in(&app, &provider).await;
        assert_eq!(status, expected, "{name}: {body}");
    }
    assert_eq!(users(&app).await, before);
    provider.forge(|token| {
        token.claims["aud"] = json!([CLIENT_ID, "other"]);
        token.claims["azp"] = json!(CLIENT_ID);
        token.header.as_object_mut().unwrap().remove("kid");
    });
    let (status, body) = log_in(&app, &provider).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "an authorized party, and the only key that fits: {body}"
    );
    app.database.drop().await;
}

#[tokio::test]
async fn only_the_browser_that_began_a_login_completes_it_once_with_its_own_code() {
    let Some((app, provider)) = start().await else { return };
    let (one, other) = (begin(&app).await, begin(&app).await);
    let code = provider.authorize(&one.url);
    let callback = async |query: &str, cookie: &str| get(&app, &format!("/oidc/callback?{query}"), cookie).await.0;
    let query = format!("code={code}&state={}", one.state());
    for (name, query, cookie) in [
        ("no cookie", query.as_str(), ""),
        ("the cookie of another login", &query, &other.cookie),
        ("a forged cookie", &query, "__Host-oidc_login=AAAA"),
        ("no state", &format!("code={code}"), &one.cookie),
        ("another state", &format!("code={code}&state=x"), &one.cookie),
        ("nothing", "", &one.cookie),
    ] {
        assert_eq!(callback(query, cookie).await, StatusCode::BAD_REQUEST, "{name}");
    }
    // PKCE: the provider refuses the code of one login with the verifier of another.
    assert_eq!(
        complete(&app, &other, &code).await.0,
        StatusCode::BAD_REQUEST,
        "an injected code"
    );
    let code = provider.authorize(&one.url);
    let query = format!("code={code}&state={}", one.state());
    let (status, headers, _) = get(&app, &format!("/oidc/callback?{query}"), &one.cookie).await;
    assert_eq!(status, StatusCode::OK, "the refused ones did not use it up");
    assert!(headers["set-cookie"].to_str().unwrap().contains("Max-Age=0;"));
    let next = provider.authorize(&one.url);
    for query in [query, format!("code={next}&state={}", one.state())] {
        assert_eq!(
            callback(&query, &one.cookie).await,
            StatusCode::BAD_REQUEST,
            "a used state"
        );
    }
    for (parameters, expected) in [
        ("error=access_denied", StatusCode::FORBIDDEN),
        ("error=server_error&code=1", StatusCode::FORBIDDEN),
        ("code=guess", StatusCode::BAD_REQUEST),
        ("iss=https://other.example&code=1", StatusCode::BAD_REQUEST),
        ("session_state=1", StatusCode::BAD_REQUEST),
    ] {
        let started = begin(&app).await;
        let status = callback(&format!("{parameters}&state={}", started.state()), &started.cookie).await;
        assert_eq!(status, expected, "{parameters}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn a_failure_of_the_provider_is_502_or_503_and_repeats_nothing_of_it() {
    let Some((mut app, provider)) = start().await else {
        return;
    };
    for (status, body, expected) in [
        (503, "canary", StatusCode::SERVICE_UNAVAILABLE),
        (200, "<html>canary", StatusCode::BAD_GATEWAY),
        (200, "{\"id_token\": \"canary\"}", StatusCode::BAD_GATEWAY),
        (302, "canary", StatusCode::BAD_GATEWAY),
        (
            401,
            "{\"error\": \"invalid_client\", \"error_description\": \"canary\"}",
            StatusCode::BAD_GATEWAY,
        ),
        (
            200,
            &format!("\"{}\"", "canary".repeat(50_000)),
            StatusCode::BAD_GATEWAY,
        ),
    ] {
        provider.shared.lock().answer = Some((status, body.to_owned()));
        let (got, problem) = log_in(&app, &provider).await;
        assert_eq!(got, expected, "{status}");
        assert!(!problem.to_string().contains("canary"));
    }
    provider.shared.lock().answer = None;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unreachable = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    for (issuer, expected) in [
        (unreachable, StatusCode::SERVICE_UNAVAILABLE),
        (format!("{}/", provider.issuer), StatusCode::BAD_GATEWAY),
        (format!("{}/unknown", provider.issuer), StatusCode::BAD_GATEWAY),
    ] {
        let settings = Settings {
            issuer,
            ..provider.settings()
        };
        configure(&mut app, settings);
        assert_eq!(app.get("/oidc/login", None).await.0, expected);
    }
    app.database.drop().await;
}
