//! Single sign-on against a provider that nobody of this project wrote: npm's oidc-provider, with its own login pages.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;

use auth_service::oidc::{Provider, RoleMap, Settings};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use kit::token::Role;
use time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use url::Url;

use crate::fake_provider::{CLIENT_ID, REDIRECT_URI};
use crate::single_sign_on::{begin, claims, complete};
use crate::support::TestApp;

/// A browser at the provider.
#[derive(Default)]
struct Browser(BTreeMap<String, String>);

impl Browser {
    /// Sends a form, or a GET, and returns status, address of a redirect, and page.
    async fn send(&mut self, url: &Url, form: Option<&str>) -> (StatusCode, Option<Url>, String) {
        let cookies: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder()
            .method(form.map_or(Method::GET, |_| Method::POST))
            .uri(url.as_str())
            .header(COOKIE, cookies.join("; "))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request
            .body(Full::<Bytes>::from(form.unwrap_or_default().to_owned()))
            .unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let response = client.request(request).await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.0.insert(name.to_owned(), value.to_owned());
        }
        let status = response.status();
        let location = response.headers().get(LOCATION);
        let location = location.map(|location| url.join(location.to_str().unwrap()).unwrap());
        let page = response.into_body().collect().await.unwrap().to_bytes();
        (status, location, String::from_utf8_lossy(&page).into_owned())
    }

    /// Logs in with this name and consents, and returns the address that the provider sends the browser back to.
    async fn log_in(&mut self, start: &Url, name: &str) -> Url {
        let (mut url, mut form) = (start.clone(), None);
        for _ in 0..12 {
            let (status, location, page) = self.send(&url, form.take().as_deref()).await;
            match location {
                Some(location) if location.as_str().starts_with(REDIRECT_URI) => return location,
                Some(location) => url = location,
                None => {
                    assert_eq!(status, StatusCode::OK, "{page}");
                    let action = page.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
                    url = url.join(action.expect("a form")).unwrap();
                    form = Some(if page.contains("value=\"login\"") {
                        format!("prompt=login&login={name}&password=any")
                    } else {
                        "prompt=consent".to_owned()
                    });
                }
            }
        }
        panic!("the provider does not end the login");
    }
}

#[tokio::test]
#[ignore = "needs node and npm's oidc-provider; scripts/oidc-check runs it"]
async fn a_user_of_npms_oidc_provider_logs_in_with_the_role_of_the_group() {
    let module = std::env::var("OIDC_PROVIDER_MODULE").expect("OIDC_PROVIDER_MODULE, which scripts/oidc-check sets");
    let Some(mut app) = TestApp::start().await else { return };
    let mut node = tokio::process::Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/provider.mjs"))
        .args([&module, REDIRECT_URI])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let issuer = lines.next_line().await.unwrap().expect("the issuer");
    let settings = Settings {
        issuer,
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some("a secret:+/".into()),
        redirect_uri: REDIRECT_URI.parse().unwrap(),
        scopes: "openid email".to_owned(),
        roles_claim: "groups".to_owned(),
        role_map: RoleMap::parse("admins=ADMIN,clinicians=USER,unverifieds=USER").unwrap(),
        allow_unverified_email: false,
        session_lifetime: Duration::hours(12),
    };
    app.state.oidc = Some(Arc::new(Provider::new(settings).unwrap()));
    for (name, expected) in [
        ("admin", Ok(Role::Admin)),
        ("clinician", Ok(Role::User)),
        ("visitor", Err(StatusCode::FORBIDDEN)),
        ("unverified", Err(StatusCode::FORBIDDEN)),
    ] {
        let started = begin(&app).await;
        let back = Browser::default().log_in(&started.url, name).await;
        let query: BTreeMap<_, _> = back.query_pairs().into_owned().collect();
        assert_eq!(query["state"], started.state());
        let code = format!("{}&iss={}", query["code"], query["iss"]);
        let (status, session) = complete(&app, &started, &code).await;
        match expected {
            Ok(role) => {
                assert_eq!(status, StatusCode::OK, "{name}: {session}");
                let claims = claims(&app, &session).await;
                assert_eq!((claims.email, claims.role), (format!("{name}@example.org"), role));
            }
            Err(refused) => assert_eq!(status, refused, "{name}: {session}"),
        }
        // The provider refuses the code that it has exchanged.
        let again = begin(&app).await;
        let (status, _) = complete(&app, &again, &code).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: a used code");
    }
    app.database.drop().await;
}
