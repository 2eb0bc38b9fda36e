//! The provider: its endpoints and keys, and the exchange of a code for a user.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use jsonwebtoken::jwk::Jwk;
use parking_lot::RwLock;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;
use url::{Url, form_urlencoded};

use super::http_client::HttpClient;
use super::settings::parse_url;
use super::{Identity, OidcError, PendingLogin, Settings, id_token};

/// Age at which endpoints and keys are read again, so that withdrawn keys are forgotten.
const MAX_AGE: Duration = Duration::from_hours(1);
/// Timeout of all requests of one login.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One provider, and what is known of it.
pub struct Provider {
    settings: Settings,
    http: HttpClient,
    known: RwLock<Option<Arc<Known>>>,
}

/// Endpoints and keys as they were last read.
#[derive(Clone)]
struct Known {
    read_at: Instant,
    endpoints: Endpoints,
    keys: Vec<Jwk>,
}

/// The discovery document (OpenID Connect Discovery 1.0, 3).
#[derive(Clone, Deserialize)]
struct Endpoints {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A key set with undecoded entries: one of an unknown type must not make the others unusable (RFC 7517, 5).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct TokenError {
    error: String,
}

impl Provider {
    /// Creates a provider, which is read when it is first needed.
    ///
    /// # Errors
    /// Fails if the system has no certificate authorities.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        Ok(Self {
            settings,
            http: HttpClient::new()?,
            known: RwLock::default(),
        })
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the address that starts a login at the provider.
    ///
    /// # Errors
    /// [`OidcError::Unreachable`] or [`OidcError::Unusable`] if the provider cannot be read.
    pub async fn authorization_url(&self, login: &PendingLogin) -> Result<Url, OidcError> {
        let known = within(TIMEOUT, self.known()).await?;
        let mut url = endpoint(&known.endpoints.authorization_endpoint)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", self.settings.redirect_uri.as_str())
            .append_pair("scope", &self.settings.scopes)
            .append_pair("state", &login.state)
            .append_pair("nonce", &login.nonce)
            .append_pair("code_challenge", &login.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Exchanges the code of a login for its user; `issuer` is the parameter `iss` of the response (RFC 9207).
    ///
    /// # Errors
    /// [`OidcError::InvalidCode`] for a code that is not one of this login; the others if the provider fails.
    pub async fn identify(
        &self,
        login: &PendingLogin,
        code: &str,
        issuer: Option<&str>,
    ) -> Result<Identity, OidcError> {
        within(TIMEOUT, async {
            let known = self.known().await?;
            let is_ours = match issuer {
                Some(issuer) => issuer == self.settings.issuer,
                None => !known.endpoints.authorization_response_iss_parameter_supported,
            };
            if !is_ours {
                return Err(OidcError::InvalidCode);
            }
            let tokens = self.exchange(&known.endpoints, login, code).await?;
            let claims = self.verify(known.clone(), &tokens.id_token, &login.nonce).await?;
            let mut identity = Identity::new(&self.settings, claims);
            if let (true, Some(url), Some(token)) = (
                identity.is_incomplete(&self.settings),
                &known.endpoints.userinfo_endpoint,
                &tokens.access_token,
            ) {
                let url = endpoint(url)?;
                identity.complete(self.http.get("UserInfo", url.as_str(), Some(token)).await?)?;
            }
            Ok(identity)
        })
        .await
    }

    /// Verifies an ID token; the keys are read again if none fits.
    async fn verify(
        &self,
        known: Arc<Known>,
        token: &str,
        nonce: &str,
    ) -> Result<serde_json::Map<String, Value>, OidcError> {
        let header = id_token::header(token)?;
        let known = match id_token::select(&known.keys, &header) {
            Some(_) => known,
            // As often as that happens: each follows the exchange of a valid code.
            None => self.read_keys(known.endpoints.clone()).await?,
        };
        let key = id_token::select(&known.keys, &header)
            .ok_or_else(|| OidcError::Unusable("ID token: the provider publishes no key for it".to_owned()))?;
        id_token::verify(token, header.alg, key, &self.settings, nonce)
    }

    /// Sends the code to the token endpoint.
    async fn exchange(&self, endpoints: &Endpoints, login: &PendingLogin, code: &str) -> Result<Tokens, OidcError> {
        let what = "token endpoint";
        let request = self.token_request(endpoints, login, code)?;
        let response = self.http.send(what, request).await?;
        match response.status {
            StatusCode::OK => response.parse(what),
            status if status.is_server_error() => Err(OidcError::Unreachable(format!("{what}: status {status}"))),
            status => match response.parse::<TokenError>(what).map(|body| body.error).as_deref() {
                Ok("invalid_grant") => Err(OidcError::InvalidCode),
                Ok("invalid_client" | "unauthorized_client") => Err(OidcError::Unusable(format!(
                    "{what}: it does not accept OIDC_CLIENT_ID and OIDC_CLIENT_SECRET"
                ))),
                _ => Err(OidcError::Unusable(format!("{what}: status {status}"))),
            },
        }
    }

    /// Writes the request of a token (RFC 6749, 4.1.3).
    fn token_request(
        &self,
        endpoints: &Endpoints,
        login: &PendingLogin,
        code: &str,
    ) -> Result<Request<Full<Bytes>>, OidcError> {
        let mut request = Request::post(endpoint(&endpoints.token_endpoint)?.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", self.settings.redirect_uri.as_str())
            .append_pair("code_verifier", &login.verifier);
        let id = &self.settings.client_id;
        match &self.settings.client_secret {
            None => {
                form.append_pair("client_id", id);
            }
            Some(secret) if endpoints.wants_secret_in_form() => {
                form.append_pair("client_id", id)
                    .append_pair("client_secret", secret.expose_secret());
            }
            Some(secret) => {
                // RFC 6749, 2.3.1: both are form-encoded first.
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let credentials = format!("{}:{}", encoded(id), encoded(secret.expose_secret()));
                request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(credentials)));
            }
        }
        request
            .body(Full::from(form.finish()))
            .map_err(|_| OidcError::Unusable("token endpoint: the request cannot be written".to_owned()))
    }

    /// Returns the endpoints and keys, which are read if they are too old.
    async fn known(&self) -> Result<Arc<Known>, OidcError> {
        let known = self.known.read().clone();
        if let Some(known) = known.filter(|known| known.read_at.elapsed() < MAX_AGE) {
            return Ok(known);
        }
        let base = self.settings.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let endpoints: Endpoints = self.http.get("discovery document", &url, None).await?;
        if endpoints.issuer != self.settings.issuer {
            let reason = "discovery document: its issuer is not OIDC_ISSUER";
            return Err(OidcError::Unusable(reason.to_owned()));
        }
        self.read_keys(endpoints).await
    }

    async fn read_keys(&self, endpoints: Endpoints) -> Result<Arc<Known>, OidcError> {
        let url = endpoint(&endpoints.jwks_uri)?;
        let set: KeySet = self.http.get("keys", url.as_str(), None).await?;
        let keys = set.keys.into_iter();
        let known = Arc::new(Known {
            read_at: Instant::now(),
            endpoints,
            keys: keys.filter_map(|key| serde_json::from_value(key).ok()).collect(),
        });
        *self.known.write() = Some(known.clone());
        Ok(known)
    }
}

impl Endpoints {
    /// Returns true if the provider takes the secret in the form only; by default it is in a header.
    fn wants_secret_in_form(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_deref();
        let supports = |name: &str| methods.is_some_and(|methods| methods.iter().any(|method| method == name));
        supports("client_secret_post") && !supports("client_secret_basic")
    }
}

/// Parses an endpoint of the discovery document.
fn endpoint(url: &str) -> Result<Url, OidcError> {
    parse_url(url).map_err(|error| OidcError::Unusable(format!("discovery document: an endpoint: {error}")))
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, OidcError>>) -> Result<T, OidcError> {
    let late = |_| OidcError::Unreachable(format!("no response within {} s", limit.as_secs()));
    timeout(limit, work).await.map_err(late)?
}
