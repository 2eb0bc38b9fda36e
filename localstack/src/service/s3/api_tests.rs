//! Tests of conditions, of the parts of a bucket, and of operations on several objects.

use http::Method;
use serde_json::json;

use super::service;
use super::tests::{get, put, send};
use crate::service::testing::context_with;

#[tokio::test]
async fn a_condition_that_is_not_met_changes_nothing() {
    let (cx, _folder) = context_with(vec![service()]);
    put(&cx, "/shelf", "").await;
    let (none, etag) = (("if-none-match", "*"), "\"9dd4e461268c8034f5c8564e155c67a6\"");
    let status = async |method: Method, headers: &[(&str, &str)], body: &str| {
        send(&cx, method, "/shelf/lock", headers, body).await.status
    };
    assert_eq!(status(Method::PUT, &[("if-match", etag)], "x").await, 404);
    assert_eq!(status(Method::PUT, &[none], "x").await, 200);
    for (method, headers, expected) in [
        (Method::PUT, [none], 412),
        (Method::PUT, [("if-match", "\"nonsense\"")], 412),
        (Method::PUT, [("if-none-match", etag)], 501),
        (Method::GET, [("if-none-match", etag)], 304),
        (Method::GET, [("if-match", "\"nonsense\"")], 412),
        (Method::GET, [("if-match", etag)], 200),
        (
            Method::HEAD,
            [("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            200,
        ),
        (
            Method::GET,
            [("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            412,
        ),
        (Method::DELETE, [("if-match", "\"nonsense\"")], 412),
    ] {
        assert_eq!(
            status(method.clone(), &headers, "y").await,
            expected,
            "{method} {headers:?}"
        );
    }
    assert_eq!(get(&cx, "/shelf/lock").await.text, "x");
    assert_eq!(status(Method::PUT, &[("if-match", etag)], "y").await, 200);
    assert_eq!(status(Method::DELETE, &[("if-match", "*")], "").await, 204);
}

#[tokio::test]
async fn parts_of_a_bucket_are_read_set_and_deleted() {
    let (cx, _folder) = context_with(vec![service()]);
    put(&cx, "/shelf", "").await;
    for (part, status, text) in [
        ("tagging", 404, "NoSuchTagSet"),
        ("policy", 404, "NoSuchBucketPolicy"),
        ("cors", 404, "NoSuchCORSConfiguration"),
        ("website", 404, "NoSuchWebsiteConfiguration"),
        ("replication", 404, "ReplicationConfigurationNotFoundError"),
        ("object-lock", 404, "ObjectLockConfigurationNotFoundError"),
        ("versioning", 200, "<VersioningConfiguration"),
        ("accelerate", 200, "<AccelerateConfiguration"),
        ("logging", 200, "<BucketLoggingStatus"),
        ("requestPayment", 200, "<Payer>BucketOwner</Payer>"),
        ("acl", 200, "FULL_CONTROL"),
    ] {
        let found = get(&cx, &format!("/shelf?{part}")).await;
        assert!(found.status == status && found.has(text), "{part}: {}", found.text);
    }
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    assert_eq!(put(&cx, "/shelf?tagging", tags).await, 204);
    assert!(get(&cx, "/shelf?tagging").await.has("<Key>a</Key><Value>b</Value>"));
    let policy = json!({"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::shelf/*"}]});
    assert_eq!(put(&cx, "/shelf?policy", &policy.to_string()).await, 204);
    assert_eq!(get(&cx, "/shelf?policy").await.text, policy.to_string());
    assert_eq!(put(&cx, "/shelf?policy", "no").await, 400);
    for part in ["tagging", "policy", "encryption", "lifecycle", "publicAccessBlock"] {
        assert_eq!(
            send(&cx, Method::DELETE, &format!("/shelf?{part}"), &[], "")
                .await
                .status,
            204,
            "{part}"
        );
    }
    assert!(get(&cx, "/shelf?policy").await.has("NoSuchBucketPolicy"));
    assert!(
        get(&cx, "/shelf?publicAccessBlock")
            .await
            .has("NoSuchPublicAccessBlockConfiguration")
    );

    let size = [(
        "x-amz-transition-default-minimum-object-size",
        "varies_by_storage_class",
    )];
    let rule = "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/><Expiration><Days>1</Days></Expiration>\
                </Rule></LifecycleConfiguration>";
    for (headers, expected) in [
        (&size[..], "varies_by_storage_class"),
        (&[], "all_storage_classes_128K"),
    ] {
        let sent = send(&cx, Method::PUT, "/shelf?lifecycle", headers, rule).await;
        assert_eq!((sent.status, sent.header(size[0].0)), (200, expected));
        assert_eq!(get(&cx, "/shelf?lifecycle").await.header(size[0].0), expected);
    }
}

#[tokio::test]
async fn objects_are_copied_listed_and_deleted_together() {
    let (cx, _folder) = context_with(vec![service()]);
    put(&cx, "/shelf", "").await;
    let author = [("x-amz-meta-author", "ada")];
    send(&cx, Method::PUT, "/shelf/a%20b", &author, "x").await;
    let copied = send(
        &cx,
        Method::PUT,
        "/shelf/c",
        &[("x-amz-copy-source", "/shelf/a%20b")],
        "",
    )
    .await;
    assert!(copied.status == 200 && copied.has("<ETag>"), "{}", copied.text);
    let copy = get(&cx, "/shelf/c").await;
    assert_eq!((copy.text.as_str(), copy.header("x-amz-meta-author")), ("x", "ada"));
    for (source, code) in [
        ("shelf/none", "NoSuchKey"),
        ("none/c", "NoSuchBucket"),
        ("shelf/c", "InvalidRequest"),
        ("c", "InvalidArgument"),
    ] {
        let refused = send(&cx, Method::PUT, "/shelf/c", &[("x-amz-copy-source", source)], "").await;
        assert!(
            refused.has(&format!("<Code>{code}</Code>")),
            "{source}: {}",
            refused.text
        );
    }
    let first = get(&cx, "/shelf?max-keys=1").await;
    assert!(
        first.has("<Key>a b</Key>") && first.has("<IsTruncated>true</IsTruncated>"),
        "{}",
        first.text
    );
    assert!(get(&cx, "/shelf?marker=a%20b").await.has("<Key>c</Key>"));
    let keys =
        "<Delete><Object><Key>a b</Key></Object><Object><Key>c</Key></Object><Object><Key>none</Key></Object></Delete>";
    let deleted = send(&cx, Method::POST, "/shelf?delete", &[], keys).await;
    assert!(deleted.has("<Deleted><Key>none</Key></Deleted>"), "{}", deleted.text);
    assert!(!get(&cx, "/shelf").await.has("<Key>"));
}
