//! Tests of buckets and objects through the HTTP protocol and through stacks.

use axum::body::{Body, to_bytes};
use http::header::{HeaderMap, RANGE};
use http::{Method, Request};
use serde_json::{Value, json};

use super::*;
use crate::service::cloudformation;
use crate::service::testing::{context_with, create, error_code};

/// A received response.
pub struct Received {
    pub status: u16,
    headers: HeaderMap,
    pub text: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

pub async fn send(cx: &Context, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Received {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1:4566");
    let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    request = request.header("authorization", scope);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    assert!(is_s3_request(request.headers(), request.uri()));
    let response = handle(cx.clone(), request).await;
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    Received {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

pub async fn put(cx: &Context, path: &str, body: &str) -> u16 {
    send(cx, Method::PUT, path, &[], body).await.status
}

pub async fn get(cx: &Context, path: &str) -> Received {
    send(cx, Method::GET, path, &[], "").await
}

#[tokio::test]
async fn a_policy_covers_only_its_own_bucket() {
    let (cx, _folder) = context_with(vec![service()]);
    let bucket = create(&cx, "AWS::S3::Bucket", "Logs", json!({})).await.unwrap();
    let arn = bucket.attributes["Arn"].as_str().unwrap().to_owned();
    let policy = |resource: String| {
        let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource});
        json!({"Bucket": bucket.physical_id, "PolicyDocument": {"Statement": [statement]}})
    };
    let rejected = create(
        &cx,
        "AWS::S3::BucketPolicy",
        "Other",
        policy("arn:aws:s3:::other/*".into()),
    )
    .await;
    assert_eq!(error_code(&rejected.unwrap_err()), Some("MalformedPolicy"));
    create(&cx, "AWS::S3::BucketPolicy", "Policy", policy(arn + "/*"))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_object_is_a_private_file_until_it_is_deleted() {
    use std::os::unix::fs::PermissionsExt;

    let (cx, folder) = context_with(vec![service()]);
    assert_eq!(put(&cx, "/shelf/a", "x").await, 404, "an upload creates no bucket");
    assert_eq!(put(&cx, "/shelf", "").await, 200);
    let sent = send(
        &cx,
        Method::PUT,
        "/shelf/a/b%20c",
        &[("x-amz-meta-author", "ada")],
        "hello",
    )
    .await;
    assert_eq!(
        (sent.status, sent.header("etag")),
        (200, "\"5d41402abc4b2a76b9719d911017c592\"")
    );
    let files = || -> Vec<_> {
        let files = std::fs::read_dir(folder.path().join("s3/shelf")).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777)
            .collect()
    };
    assert_eq!(files(), [0o600]);
    let got = get(&cx, "/shelf/a/b%20c").await;
    assert_eq!((got.text.as_str(), got.header("x-amz-meta-author")), ("hello", "ada"));
    assert_eq!(got.header("x-amz-server-side-encryption"), "AES256");
    let part = send(&cx, Method::GET, "/shelf/a/b%20c", &[(RANGE.as_str(), "bytes=1-2")], "").await;
    assert_eq!(
        (part.status, part.text.as_str(), part.header("content-range")),
        (206, "el", "bytes 1-2/5")
    );
    let head = send(&cx, Method::HEAD, "/shelf/a/b%20c", &[], "").await;
    assert_eq!(
        (head.status, head.header("content-length"), head.text.as_str()),
        (200, "5", "")
    );

    assert_eq!(put(&cx, "/shelf/a/b%20c", "other").await, 200);
    assert_eq!(
        (get(&cx, "/shelf/a/b%20c").await.text.as_str(), files().len()),
        ("other", 1)
    );
    let full = send(&cx, Method::DELETE, "/shelf", &[], "").await;
    assert!(full.status == 409 && full.has("<Code>BucketNotEmpty</Code>"));
    for _ in 0..2 {
        assert_eq!(send(&cx, Method::DELETE, "/shelf/a/b%20c", &[], "").await.status, 204);
    }
    let deleted = get(&cx, "/shelf/a/b%20c").await;
    assert!(deleted.status == 404 && deleted.has("<Code>NoSuchKey</Code>"));
    assert_eq!(send(&cx, Method::DELETE, "/shelf", &[], "").await.status, 204);
    assert!(!folder.path().join("s3/shelf").exists());
    assert_eq!(send(&cx, Method::HEAD, "/shelf", &[], "").await.status, 404);
}

#[test]
fn presigned_urls_of_both_signature_versions_are_s3_requests() {
    let is_s3 = |uri: &str| is_s3_request(&HeaderMap::new(), &uri.parse().unwrap());
    assert!(is_s3(
        "/shelf/a?X-Amz-Credential=test%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
    ));
    assert!(is_s3("/shelf/a?AWSAccessKeyId=test&Signature=x&Expires=1"));
    assert!(!is_s3("/shelf/a"), "it is not signed");
    assert!(!is_s3("/?Action=DescribeStacks&AWSAccessKeyId=test&Expires=1"));
}

#[tokio::test]
async fn a_file_without_an_object_is_deleted_at_the_next_start() {
    let (cx, folder) = context_with(vec![service()]);
    put(&cx, "/shelf", "").await;
    put(&cx, "/shelf/a", "x").await;
    let stray = folder.path().join("s3/shelf/stray");
    std::fs::write(&stray, "half").unwrap();
    object::delete_unreferenced(&cx).unwrap();
    assert!(!stray.exists());
    assert_eq!(get(&cx, "/shelf/a").await.text, "x");
}

#[tokio::test]
async fn a_list_has_pages_and_is_grouped_by_the_delimiter() {
    let (cx, _folder) = context_with(vec![service()]);
    put(&cx, "/shelf", "").await;
    put(&cx, "/shelf-two", "").await;
    for key in ["a", "b/1", "b/2", "c%26d", "e"] {
        put(&cx, &format!("/shelf/{key}"), key).await;
    }
    put(&cx, "/shelf-two/elsewhere", "x").await;
    let mut token = String::new();
    let mut pages = Vec::new();
    loop {
        let page = get(&cx, &format!("/shelf?list-type=2&delimiter=/&max-keys=2{token}"))
            .await
            .text;
        let between = |begin: &str, end: &str| {
            page.split(begin)
                .skip(1)
                .map(|rest| rest.split(end).next().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        pages.push((
            between("<Key>", "</Key>"),
            between("<CommonPrefixes><Prefix>", "</Prefix>"),
        ));
        match between("<NextContinuationToken>", "</NextContinuationToken>").first() {
            Some(next) => token = format!("&continuation-token={next}"),
            None => break,
        }
    }
    let page = |keys: &[&str], folders: &[&str]| {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        (owned(keys), owned(folders))
    };
    assert_eq!(pages, [page(&["a"], &["b/"]), page(&["c&amp;d", "e"], &[])]);
    let encoded = get(&cx, "/shelf?list-type=2&prefix=c&encoding-type=url").await;
    assert!(
        encoded.has("<Key>c%26d</Key>") && encoded.has("<KeyCount>1</KeyCount>"),
        "{}",
        encoded.text
    );
}

#[tokio::test]
async fn a_stack_and_a_client_see_the_same_bucket() {
    let (cx, _folder) = context_with(vec![service()]);
    let resource_type = cx.resource_type("AWS::S3::Bucket").unwrap();
    create(&cx, "AWS::S3::Bucket", "Shelf", json!({"BucketName": "shelf"}))
        .await
        .unwrap();
    assert!(get(&cx, "/").await.has("<Name>shelf</Name>"));
    let open =
        "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>";
    assert_eq!(put(&cx, "/shelf?publicAccessBlock", open).await, 200);
    let rule = "<LifecycleConfiguration><Rule><ID>soon</ID><Filter><Prefix>t/</Prefix></Filter><Status>Enabled</Status>\
                <Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>";
    assert_eq!(put(&cx, "/shelf?lifecycle", rule).await, 200);
    let live = resource_type.read(&cx, "shelf").await.unwrap().unwrap();
    assert_eq!(live["PublicAccessBlockConfiguration"]["BlockPublicAcls"], true);
    assert_eq!(live["PublicAccessBlockConfiguration"]["RestrictPublicBuckets"], false);
    let expected = json!({"Id": "soon", "Prefix": "t/", "Status": "Enabled", "ExpirationInDays": 3});
    assert_eq!(live["LifecycleConfiguration"]["Rules"], json!([expected]));
    let lifecycle = get(&cx, "/shelf?lifecycle").await;
    assert!(
        lifecycle.has("<Filter><Prefix>t/</Prefix></Filter>"),
        "{}",
        lifecycle.text
    );
    assert!(
        lifecycle.has("<Expiration><Days>3</Days></Expiration>"),
        "{}",
        lifecycle.text
    );
    assert!(
        get(&cx, "/shelf?encryption")
            .await
            .has("<SSEAlgorithm>AES256</SSEAlgorithm>")
    );

    put(&cx, "/shelf/a", "x").await;
    let rejected = resource_type.delete(&cx, "shelf", &Value::Null).await.unwrap_err();
    assert_eq!(error_code(&rejected), Some("BucketNotEmpty"));
}

#[tokio::test]
async fn an_unsupported_operation_is_named_and_another_accounts_bucket_is_denied() {
    let (cx, _folder) = context_with(vec![service()]);
    put(&cx, "/shelf", "").await;
    let versions = send(&cx, Method::PUT, "/shelf?versioning", &[], "").await;
    assert!(
        versions.status == 501 && versions.has("s3:PutBucketVersioning"),
        "{}",
        versions.text
    );
    let parts = send(&cx, Method::POST, "/shelf/a?uploads", &[], "").await;
    assert!(parts.has("<Code>NotImplemented</Code>") && parts.has("s3:CreateMultipartUpload"));
    let transition = "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/><Transition><Days>1</Days></Transition>\
                  </Rule></LifecycleConfiguration>";
    let transition = send(&cx, Method::PUT, "/shelf?lifecycle", &[], transition).await;
    assert!(
        transition.has("PutBucketLifecycleConfiguration with Transition"),
        "{}",
        transition.text
    );
    let other_owner = [("x-amz-expected-bucket-owner", "111122223333")];
    let other = send(&cx, Method::PUT, "/shelf/a", &other_owner, "x").await;
    assert!(other.status == 403 && other.has("<Code>AccessDenied</Code>"));
    assert_eq!(get(&cx, "/shelf/a").await.status, 404, "nothing was stored");
    assert!(
        send(&cx, Method::PUT, "/Not_A_Name", &[], "")
            .await
            .has("InvalidBucketName")
    );
}

#[tokio::test]
async fn a_template_is_read_from_its_url_and_rejected_as_aws_does() {
    let (cx, _folder) = context_with(vec![service(), cloudformation::service()]);
    put(&cx, "/shelf", "").await;
    let template = |padding: usize| {
        let resources = json!({"Shelf": {"Type": "AWS::S3::Bucket", "Metadata": {"Padding": "x".repeat(padding)}}});
        json!({"Description": "large", "Resources": resources}).to_string()
    };
    let validate = async |member: &str, value: &str| {
        cx.call("cloudformation", "ValidateTemplate", json!({ member: value }))
            .await
    };
    let too_large = validate("TemplateBody", &template(52_000)).await.unwrap_err();
    assert_eq!(too_large.code, "ValidationError");
    put(&cx, "/shelf/t.json", &template(52_000)).await;
    for url in [
        "http://127.0.0.1:4566/shelf/t.json",
        "https://shelf.s3.us-east-1.amazonaws.com/t.json",
    ] {
        assert_eq!(validate("TemplateURL", url).await.unwrap()["Description"], "large");
    }
    put(&cx, "/shelf/huge", &template(1_000_000)).await;
    let mut messages = vec![too_large.message];
    for url in [
        "http://127.0.0.1:4566/shelf/huge",
        "http://127.0.0.1:4566/shelf/none",
        "http://127.0.0.1:4566/none/t.json",
        "https://example.com/shelf/t.json",
    ] {
        let error = validate("TemplateURL", url).await.unwrap_err();
        assert_eq!(error.code, "ValidationError", "{url}");
        messages.push(error.message);
    }
    insta::assert_snapshot!(messages.join("\n"), @"
    1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200
    Template may not exceed 1000000 bytes in size.
    S3 error: The specified key does not exist.
    For more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    S3 error: The specified bucket does not exist
    For more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    TemplateURL must be a supported URL.
    ");
}
