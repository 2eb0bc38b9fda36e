//! Tests of pushing, pulling and unpacking images through the registry protocol.

use std::io::Write;

use axum::body::{Body, to_bytes};
use http::Request;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::unpack::UnpackError;
use super::{registry, unpack};
use crate::service::testing::{context_with, create};
use crate::{Call, Context, Service};

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Creates a gzipped archive of small files.
fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        // Written directly, since `append_data` rejects paths with `..`.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive.into_inner().unwrap()).unwrap();
    gzip.finish().unwrap()
}

async fn send(cx: &Context, method: &str, path: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::from(body.to_vec()))
        .unwrap();
    let response = registry(cx.clone(), request).await;
    let location = response
        .headers()
        .get("location")
        .map(|v| v.to_str().unwrap().to_owned())
        .unwrap_or_default();
    (
        response.status().as_u16(),
        location,
        to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec(),
    )
}

async fn upload(cx: &Context, bytes: &[u8], as_digest: &str) -> u16 {
    let (_, location, _) = send(cx, "POST", "/v2/shop/blobs/uploads/", b"").await;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let (status, location, _) = send(cx, "PATCH", &location, first).await;
    assert_eq!(status, 202);
    send(cx, "PUT", &format!("{location}?digest={as_digest}"), second)
        .await
        .0
}

async fn push(cx: &Context, layers: &[Vec<u8>]) -> String {
    let config = json!({"config": {"Entrypoint": ["/bin/shop"], "User": "10001"}})
        .to_string()
        .into_bytes();
    for blob in layers.iter().chain([&config]) {
        assert_eq!(upload(cx, blob, &digest(blob)).await, 201);
    }
    let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let layers: Vec<_> = layers
        .iter()
        .map(|l| json!({"mediaType": media_type, "digest": digest(l), "size": l.len()}))
        .collect();
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config)});
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string();
    let (status, _, body) = send(cx, "PUT", "/v2/shop/manifests/v1", manifest.as_bytes()).await;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    digest(manifest.as_bytes())
}

async fn shop() -> (Context, tempfile::TempDir) {
    let (cx, folder) = context_with(vec![super::service()]);
    let created = create(&cx, "AWS::ECR::Repository", "Shop", json!({"RepositoryName": "shop"}))
        .await
        .unwrap();
    assert_eq!(created.attributes["RepositoryUri"], "localhost:0/shop");
    (cx, folder)
}

#[tokio::test]
async fn a_pushed_image_is_unpacked_with_its_whiteouts() {
    let (cx, _folder) = shop().await;
    let layers = [
        layer(&[("bin/shop", "one"), ("etc/old", "x"), ("usr/old", "x"), ("kept", "1")]),
        // A whiteout hides what is below its layer, also if it stands behind an entry of the same name.
        layer(&[
            ("etc/new", "y"),
            ("etc/.wh..wh..opq", ""),
            ("usr/.wh.old", ""),
            ("kept", "2"),
            (".wh.kept", ""),
        ]),
    ];
    let digest = push(&cx, &layers).await;
    let unpacked = unpack(&cx, &format!("localhost:0/shop@{digest}")).await.unwrap();
    assert_eq!(unpacked.config.entrypoint, ["/bin/shop"]);
    assert_eq!(
        std::fs::read_to_string(unpacked.rootfs.join("bin/shop")).unwrap(),
        "one"
    );
    let exists = ["etc/new", "etc/old", "usr/old"].map(|path| unpacked.rootfs.join(path).exists());
    assert_eq!(exists, [true, false, false]);
    assert_eq!(std::fs::read_to_string(unpacked.rootfs.join("kept")).unwrap(), "2");
    assert_eq!(send(&cx, "GET", "/v2/shop/manifests/v1", b"").await.0, 200);

    let delete = |force: bool| Call {
        operation: "DeleteRepository".into(),
        input: json!({"repositoryName": "shop", "force": force}),
        region: "r".into(),
    };
    assert_eq!(
        super::Ecr.call(&cx, delete(false)).await.unwrap_err().code,
        "RepositoryNotEmptyException"
    );
    super::Ecr.call(&cx, delete(true)).await.unwrap();
    assert_eq!(
        std::fs::read_dir(cx.state_dir().join("registry/blobs"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn a_blob_with_another_digest_is_rejected_and_not_stored() {
    let (cx, _folder) = shop().await;
    assert_eq!(upload(&cx, b"something", &digest(b"else")).await, 400);
    assert_eq!(
        send(&cx, "HEAD", &format!("/v2/shop/blobs/{}", digest(b"else")), b"")
            .await
            .0,
        404
    );
    assert_eq!(
        std::fs::read_dir(cx.state_dir().join("registry/uploads"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn a_layer_with_a_path_outside_its_root_is_rejected() {
    let (cx, _folder) = shop().await;
    let digest = push(&cx, &[layer(&[("../../escaped", "x")])]).await;
    let error = unpack(&cx, &format!("localhost:0/shop@{digest}")).await.unwrap_err();
    let cause = error.downcast_ref::<UnpackError>();
    assert!(matches!(cause, Some(UnpackError::OutsideRoot(_))), "{error:#}");
    assert_eq!(std::fs::read_dir(cx.root_dir().join("images")).unwrap().count(), 0);
}
