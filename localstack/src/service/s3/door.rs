//! S3's own door: REST with buckets in the host or the path, and with XML.

use axum::body::{Body, Bytes, to_bytes};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};

use super::bucket::BUCKETS;
use super::name::{Subject, operation};
use super::{Address, buckets, no_bucket, objects, xml};
use crate::records::Record;
use crate::{AwsError, Context, wire};

/// The largest object here, in bytes: it is held in memory once. S3 takes 5 GiB in one upload.
const LARGEST: usize = 64 << 20;

/// Whether a request is signed for S3, in its header or its URL; only S3 still takes URLs of the signature before the present
/// one, which name no service.
pub fn is_meant(headers: &HeaderMap, uri: &Uri) -> bool {
    let names = |wanted: &str| {
        let query = uri.query().unwrap_or_default().as_bytes();
        form_urlencoded::parse(query).any(|(name, _)| name == wanted)
    };
    match wire::credential_scope(headers, uri) {
        Some((_, service)) => service == "s3",
        None => names("AWSAccessKeyId") && names("Expires") && !names("Action"),
    }
}

/// What a request asks.
pub struct Asked {
    /// As the API reference calls it.
    pub operation: String,
    pub address: Address,
    pub region: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    query: Vec<(String, String)>,
}

impl Asked {
    fn of(cx: &Context, parts: Parts, body: Bytes) -> Result<Self, AwsError> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let authority = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
        let address = Address::of(authority.as_ref().map_or("", |one| one.host()), parts.uri.path())?;
        let query: Vec<(String, String)> = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
        let subject = match (address.bucket.is_empty(), address.key.is_empty()) {
            (true, _) => Subject::Service,
            (false, true) => Subject::Bucket,
            (false, false) => Subject::Object,
        };
        let has = |wanted: &str| query.iter().any(|(name, _)| name == wanted);
        let copies = parts.headers.contains_key("x-amz-copy-source");
        let region = wire::credential_scope(&parts.headers, &parts.uri).map(|(region, _)| region);
        Ok(Self {
            operation: operation(&parts.method, subject, has, copies),
            address,
            region: region.unwrap_or_else(|| cx.region().to_owned()),
            headers: parts.headers,
            body,
            query,
        })
    }

    pub fn query(&self, wanted: &str) -> Option<String> {
        let found = self.query.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The bucket that is meant; it must be there.
    pub fn bucket(&self, cx: &Context) -> Result<Record, AwsError> {
        BUCKETS.get(cx, &self.address.bucket)?.ok_or_else(no_bucket)
    }
}

/// What is answered.
pub struct Answer {
    status: u16,
    headers: HeaderMap,
    /// Said where the body is not sent (HeadObject).
    pub length: Option<usize>,
    pub body: Bytes,
}

impl Answer {
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            length: None,
            body: Bytes::new(),
        }
    }

    pub fn xml(text: String) -> Self {
        let mut answer = Self::empty(200).with(CONTENT_TYPE.as_str(), "application/xml");
        answer.body = text.into();
        answer
    }

    /// A header, in the place of one of this name.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            self.headers.insert(name, value);
        }
        self
    }

    fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        if let Some(length) = self.length {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        response
    }
}

/// Answers a request that is signed for S3.
pub async fn answer(cx: Context, request: Request<Body>) -> Response<Body> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let (parts, body) = request.into_parts();
    let (head, resource) = (parts.method == Method::HEAD, parts.uri.path().to_owned());
    let outcome = match to_bytes(body, LARGEST).await {
        Ok(body) => act(cx, parts, body).await,
        Err(_) => Err(AwsError::new(
            "EntityTooLarge",
            format!("The embedded endpoint takes objects of up to {LARGEST} bytes; this one is larger, or broke off."),
        )),
    };
    let answer = outcome.unwrap_or_else(|error| {
        let mut answer = Answer::xml(xml::error(&error, &resource, &id));
        answer.status = error.status;
        if head {
            answer.body = Bytes::new();
        }
        answer
    });
    answer.with("x-amz-request-id", &id).response()
}

/// In a thread of its own, since files are written; a client that hangs up does not leave it half done.
async fn act(cx: Context, parts: Parts, body: Bytes) -> Result<Answer, AwsError> {
    let asked = Asked::of(&cx, parts, body)?;
    let operation = asked.operation.clone();
    let work = tokio::task::spawn_blocking(move || done(&cx, &asked));
    let outcome = work.await.unwrap_or_else(|_| {
        Err(AwsError::internal(
            "The endpoint failed on this call; its log has the details.",
        ))
    });
    match &outcome {
        Ok(_) => tracing::debug!(aws.service = "s3", aws.operation = %operation, "answered"),
        Err(error) if error.status == 500 => {
            tracing::error!(aws.service = "s3", aws.operation = %operation, %error, "a call failed here");
        }
        Err(error) => tracing::debug!(aws.service = "s3", aws.operation = %operation, code = %error.code, "refused"),
    }
    outcome
}

fn done(cx: &Context, asked: &Asked) -> Result<Answer, AwsError> {
    match asked.operation.as_str() {
        "ListBuckets" => return buckets::list(cx),
        "CreateBucket" => return buckets::create(cx, asked),
        _ => {}
    }
    let owner = asked.header("x-amz-expected-bucket-owner");
    if owner.is_some_and(|owner| owner != cx.account()) {
        return Err(AwsError::new("AccessDenied", "Access Denied").with_status(403));
    }
    if let Some(answer) = buckets::setting(cx, asked) {
        return answer;
    }
    match asked.operation.as_str() {
        "HeadBucket" => Ok(buckets::head(cx, &asked.bucket(cx)?)),
        "GetBucketLocation" => Ok(buckets::location(cx, &asked.bucket(cx)?)),
        "DeleteBucket" => buckets::delete(cx, asked),
        "ListObjectsV2" => buckets::objects(cx, asked, &asked.bucket(cx)?),
        "PutObject" => objects::put(cx, asked),
        "GetObject" => asked.bucket(cx).and_then(|_| objects::get(cx, asked, true)),
        "HeadObject" => asked.bucket(cx).and_then(|_| objects::get(cx, asked, false)),
        "DeleteObject" => asked.bucket(cx).and_then(|_| objects::delete(cx, asked)),
        operation => Err(AwsError::not_implemented("s3", operation)),
    }
}
