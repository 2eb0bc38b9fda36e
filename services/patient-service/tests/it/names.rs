//! Names of people: how they are stored, found and ordered.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestApp, patient};

async fn create(app: &TestApp, name: &str, email: &str) -> u16 {
    let mut body = patient("Anyone");
    (body["name"], body["email"]) = (json!(name), json!(email));
    app.call(Method::POST, "/patients", Some(body)).await.status.as_u16()
}

/// Returns the names that a search finds.
async fn found(app: &TestApp, search: &str) -> Vec<String> {
    let page = app
        .call(Method::POST, "/patients/search", Some(json!({"search": search})))
        .await;
    assert_eq!(page.status, StatusCode::OK, "{search}: {}", page.body);
    names(&page.body)
}

fn names(page: &Value) -> Vec<String> {
    let page = page.as_array().expect("an array");
    page.iter()
        .map(|patient| patient["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn a_search_finds_a_name_in_every_normal_form_without_accents_and_in_scripts_without_blanks() {
    let Some(app) = TestApp::start().await else { return };
    for (index, name) in [
        "Jose\u{301} Alvarez",
        "李小龙",
        "김철수",
        "Łukasz Żak",
        "Anna Strauß",
        "すずき いちろう",
        "O'Neil 50%",
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(
            create(&app, name, &format!("p{index}@example.org")).await,
            201,
            "{name}"
        );
    }
    // As it was stored before names were normalised.
    sqlx::query("update patient set name = normalize(name, NFD) where name like 'Jos%'")
        .execute(&app.database.pool)
        .await
        .expect("an update");
    for (search, name) in [
        ("José", "Jose\u{301} Alvarez"),
        ("jose\u{301}", "Jose\u{301} Alvarez"),
        ("JOSE", "Jose\u{301} Alvarez"),
        ("álvar", "Jose\u{301} Alvarez"),
        ("小龙", "李小龙"),
        ("龙", "李小龙"),
        ("李小龙", "李小龙"),
        ("李 小龙", "李小龙"),
        ("철수", "김철수"),
        ("수", "김철수"),
        ("ずき", "すずき いちろう"),
        ("lukasz zak", "Łukasz Żak"),
        ("strauss", "Anna Strauß"),
        ("50%", "O'Neil 50%"),
        ("ｊｏｓｅ", "Jose\u{301} Alvarez"),
    ] {
        assert_eq!(found(&app, search).await, [name], "{search}");
    }
    for nothing in [
        "小李",
        "％％a",
        "os alv",
        "5_%0",
        "Alvarez\np0@example.org",
        "alvarez \n p0",
        "Alvarez p0",
    ] {
        assert_eq!(found(&app, nothing).await, Vec::<String>::new(), "{nothing}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn lists_are_in_the_order_of_an_alphabet_on_every_page() {
    let Some(app) = TestApp::start().await else { return };
    for (index, name) in ["Zoe", "adam", "Émile", "Emil", "Frank", "emil", "Ångström"]
        .iter()
        .enumerate()
    {
        assert_eq!(create(&app, name, &format!("p{index}@example.org")).await, 201);
        app.call(Method::POST, "/families", Some(json!({"name": name}))).await;
    }
    let expected = ["adam", "Ångström", "emil", "Emil", "Émile", "Frank", "Zoe"];
    for start in ["/patients?limit=2", "/families?limit=2"] {
        let (mut listed, mut path) = (Vec::new(), start.to_owned());
        loop {
            let page = app.get(&path).await;
            listed.extend(names(&page.body));
            let Some(next) = page.next_page() else { break };
            path = next.to_owned();
        }
        assert_eq!(listed, expected, "{start}");
    }
    let mut backwards = names(&app.get("/patients?sort=-name").await.body);
    backwards.reverse();
    assert_eq!(backwards, expected);
    app.database.drop().await;
}

#[tokio::test]
async fn names_of_nothing_are_rejected_for_patients_and_families() {
    let Some(app) = TestApp::start().await else { return };
    for (name, message) in [
        ("\u{200b}", "Name is required"),
        ("\u{feff}\u{ad}", "Name is required"),
        ("\u{3164}", "Name is required"),
        ("\u{2800}\u{2800}", "Name is required"),
        ("Ada\u{202e}", "Name cannot contain invisible or formatting characters"),
        ("A\u{ad}da", "Name cannot contain invisible or formatting characters"),
    ] {
        for path in ["/patients", "/families"] {
            let mut body = patient("Ada");
            body["name"] = json!(name);
            let response = app.call(Method::POST, path, Some(body)).await;
            assert_eq!(
                (response.status, &response.body["errors"]["name"]),
                (StatusCode::BAD_REQUEST, &json!(message)),
                "{path} {name:?}"
            );
        }
    }
    app.database.drop().await;
}

#[tokio::test]
async fn look_alike_addresses_are_one_address() {
    let Some(app) = TestApp::start().await else { return };
    for (first, again) in [
        ("müller@example.org", "MU\u{308}LLER@Example.org"),
        ("user@bücher.example", "User@xn--bcher-kva.example"),
        ("ada@example.org", "ADA@EXAMPLE.ORG"),
        ("user@xn--mnchen-3ya.example", "user@münchen.example"),
    ] {
        assert_eq!(create(&app, "Ada", first).await, 201, "{first}");
        assert_eq!(create(&app, "Ada", again).await, 409, "{again}");
    }
    for bad in [
        "a@1.2.3.4",
        "a@b.1",
        "\u{200b}admin@example.org",
        "ad\u{ad}min@example.org",
    ] {
        assert_eq!(create(&app, "Ada", bad).await, 400, "{bad:?}");
    }
    app.database.drop().await;
}
