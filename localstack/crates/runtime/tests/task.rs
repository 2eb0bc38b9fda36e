//! A container as the endpoint runs it: what it sees, how it ends, and that it can be found again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use endpoint_runtime::task::order::Command;
use endpoint_runtime::task::output::Output;
use endpoint_runtime::task::process::{self, Container};
use endpoint_runtime::task::{self, Outcome};

fn main() {
    if std::env::args().nth(1).as_deref() == Some(task::ARGUMENT) {
        task::init_main();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let image = shell_image(&folder.path().join("image"));
    runtime.block_on(async {
        sees_the_image_and_nothing_else(folder.path(), &image).await;
        tells_its_exit_code_and_is_asked_to_end(folder.path(), &image).await;
        what_the_image_lacks_is_missing(folder.path(), &image).await;
        the_endpoints_authorities_take_the_place_of_the_images(folder.path(), &image).await;
        a_health_check_runs_inside(folder.path(), &image).await;
        an_init_passes_signals_on_and_the_exit_code_back(folder.path(), &image).await;
    });
    println!("task: 6 passed");
}

async fn sees_the_image_and_nothing_else(folder: &Path, image: &Path) {
    let script = "echo \"$GREETING $$\"; [ -e /root ] || echo no /root; [ -e /proc/self ] && echo proc; \
                  (echo x > /bin/new) 2>/dev/null || echo read-only; echo x > /tmp/new && echo tmp; \
                  while read -r line; do echo \"$line\"; done < /etc/hosts";
    let container = start(folder, "sees", image, script, "7:8").await;
    assert_eq!(
        container.ended().await,
        Outcome {
            code: Some(0),
            reason: None
        }
    );
    let lines = Output::open(&container.folder).unwrap().lines(true).unwrap();
    // The first process of its own namespace has the pid 1.
    assert_eq!(
        lines,
        [
            "hello 1",
            "no /root",
            "proc",
            "read-only",
            "tmp",
            "127.0.0.1\tlocalhost"
        ]
    );
}

async fn tells_its_exit_code_and_is_asked_to_end(folder: &Path, image: &Path) {
    let container = start(
        folder,
        "ends",
        image,
        "trap 'exit 42' TERM; echo up; while :; do read -r x < /dev/zero; done",
        "",
    )
    .await;
    until(|| fs::read_to_string(container.folder.join("output")).is_ok_and(|text| text.contains("up"))).await;
    // An endpoint that starts again knows the folder and the supervisor only.
    let again = Container {
        folder: container.folder.clone(),
        supervisor: container.supervisor,
    };
    assert_eq!(again.outcome(), None);
    let stubborn = start(
        folder,
        "stubborn",
        image,
        "trap '' TERM; echo up; while :; do read -r x < /dev/zero; done",
        "",
    )
    .await;
    until(|| fs::read_to_string(stubborn.folder.join("output")).is_ok_and(|text| text.contains("up"))).await;
    assert_eq!(stubborn.end(Duration::from_millis(300)).await.code, Some(137));
    let process = again.process().unwrap();
    // `read` from /dev/zero never returns in some shells: the trap then runs never, and the end is a kill.
    let code = again.end(Duration::from_secs(2)).await.code;
    assert!(code == Some(42) || code == Some(137), "{code:?}");
    assert!(!process.is_alive());
}

async fn what_the_image_lacks_is_missing(folder: &Path, image: &Path) {
    let command = Command {
        argv: vec!["/usr/bin/env".into()],
        env: vec![],
        user: String::new(),
        working_dir: String::new(),
        init: false,
    };
    let container = process::start(&folder.join("lacks"), image, command).await.unwrap();
    let outcome = container.ended().await;
    assert_eq!(outcome.code, None);
    assert!(
        outcome.reason.as_deref().is_some_and(|r| r.contains("/usr/bin/env")),
        "{outcome:?}"
    );
}

async fn the_endpoints_authorities_take_the_place_of_the_images(folder: &Path, image: &Path) {
    let own = folder.join("trusts");
    for bundle in task::OF_THE_SYSTEM.iter().chain([&task::OF_DATABASES]) {
        let path = image.join(bundle.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::create_dir_all(&own).unwrap();
        fs::write(path, "the image's").unwrap();
        fs::write(own.join(bundle.shown), format!("shown at {}\n", bundle.path)).unwrap();
    }
    // What the image has none of is not made.
    fs::remove_file(image.join(task::OF_THE_SYSTEM[2].path)).unwrap();
    let script = "for file in /etc/ssl/certs/* /etc/pki/tls/certs/*; do read -r line < \"$file\"; echo \"$line\"; done; \
                  [ -e /etc/ssl/cert.pem ] || echo none; (echo x > /etc/ssl/certs/ca-certificates.crt) 2>/dev/null || echo sealed";
    let container = start(folder, "trusts", image, script, "").await;
    assert_eq!(container.ended().await.code, Some(0));
    let lines = Output::open(&container.folder).unwrap().lines(true).unwrap();
    assert_eq!(
        lines,
        [
            "shown at etc/ssl/certs/ca-certificates.crt",
            "shown at etc/ssl/certs/rds-global-bundle.pem",
            "shown at etc/pki/tls/certs/ca-bundle.crt",
            "none",
            "sealed"
        ]
    );
}

async fn a_health_check_runs_inside(folder: &Path, image: &Path) {
    let container = start(
        folder,
        "checked",
        image,
        "echo x > /tmp/healthy; while :; do read -r x < /dev/zero; done",
        "",
    )
    .await;
    until(|| container.process().is_some()).await;
    let check = |script: &str| {
        let (container, command) = (container.clone(), shell(script, ""));
        async move {
            container
                .succeeds(image, command, Duration::from_secs(5))
                .await
                .unwrap()
        }
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(check("[ -e /tmp/healthy ]").await);
    assert!(!check("[ -e /root ]").await);
    container.end(Duration::ZERO).await;
}

async fn an_init_passes_signals_on_and_the_exit_code_back(folder: &Path, image: &Path) {
    let run = |name: &'static str, script: &'static str| async move {
        let command = Command {
            init: true,
            ..shell(script, "7:8")
        };
        process::start(&folder.join(name), image, command).await.unwrap()
    };
    let up = |container: &Container| {
        let output = container.folder.join("output");
        move || fs::read_to_string(&output).is_ok_and(|text| text.contains("up"))
    };
    // As process 1 it would be spared: it has no handler. Under an init it is process 2, and the signal ends it.
    let deaf = run("deaf", "echo up $$; while :; do read -r x < /dev/zero; done").await;
    until(up(&deaf)).await;
    let lines = Output::open(&deaf.folder).unwrap().lines(true).unwrap();
    assert_eq!(lines, ["up 2"]);
    let asked = std::time::Instant::now();
    assert_eq!(deaf.end(Duration::from_secs(20)).await.code, Some(128 + 15));
    assert!(asked.elapsed() < Duration::from_secs(10), "its grace is not waited out");
    let handler = run("handler", "trap 'exit 42' TERM; echo up; while :; do :; done").await;
    until(up(&handler)).await;
    assert_eq!(handler.end(Duration::from_secs(20)).await.code, Some(42));
    // An orphan is the init's to wait for, and the command's own end is the container's.
    let orphans = run("orphans", "( ( : ) & ); exit 3").await;
    assert_eq!(orphans.ended().await.code, Some(3));
    let missing = Command {
        argv: vec!["/usr/bin/env".into()],
        init: true,
        ..shell("", "")
    };
    let missing = process::start(&folder.join("init-lacks"), image, missing)
        .await
        .unwrap()
        .ended()
        .await;
    assert!(missing.code.is_none() && missing.reason.is_some(), "{missing:?}");
}

async fn start(folder: &Path, name: &str, image: &Path, script: &str, user: &str) -> Container {
    process::start(&folder.join(name), image, shell(script, user))
        .await
        .unwrap()
}

fn shell(script: &str, user: &str) -> Command {
    Command {
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        env: vec![("GREETING".into(), "hello".into())],
        user: user.into(),
        working_dir: String::new(),
        init: false,
    }
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..100 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within five seconds");
}

/// An image of nothing but the machine's shell and the libraries that it needs.
fn shell_image(root: &Path) -> PathBuf {
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/sh", root.join("bin/sh")).unwrap();
    let needed = std::process::Command::new("ldd")
        .arg("/bin/sh")
        .output()
        .unwrap()
        .stdout;
    for word in String::from_utf8_lossy(&needed)
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let target = root.join(&word[1..]);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(word, target).unwrap();
    }
    root.to_owned()
}
