//! The user of an image, looked up in the image's own files.

use std::path::Path;

use anyhow::{Context as _, bail};

/// Returns the numeric user and group of an image's `USER` (`""`, `app`, `10001`, `app:app`, `10001:10001`).
///
/// # Errors
/// When a name is not in the image's `/etc/passwd` or `/etc/group`.
pub fn resolve(rootfs: &Path, user: &str) -> anyhow::Result<(u32, u32)> {
    if user.is_empty() {
        return Ok((0, 0));
    }
    let (user, group) = user.split_once(':').map_or((user, None), |(u, g)| (u, Some(g)));
    let passwd = std::fs::read_to_string(rootfs.join("etc/passwd")).unwrap_or_default();
    let entry = passwd
        .lines()
        .map(fields)
        .find(|f| f.first() == Some(&user) || f.get(2) == Some(&user));
    let uid = match (user.parse(), &entry) {
        (Ok(number), _) => number,
        (Err(_), Some(f)) => f
            .get(2)
            .unwrap_or(&"")
            .parse()
            .context("the image's /etc/passwd has an invalid user id")?,
        (Err(_), None) => bail!("unable to find user {user}: no matching entries in the image's /etc/passwd"),
    };
    let gid = match group {
        None => entry.and_then(|f| f.get(3)?.parse().ok()).unwrap_or(0),
        Some(group) => match group.parse() {
            Ok(number) => number,
            Err(_) => std::fs::read_to_string(rootfs.join("etc/group"))
                .unwrap_or_default()
                .lines()
                .map(fields)
                .find(|f| f.first() == Some(&group))
                .and_then(|f| f.get(2)?.parse().ok())
                .with_context(|| format!("unable to find group {group} in the image's /etc/group"))?,
        },
    };
    Ok((uid, gid))
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_looked_up_in_the_image() {
        let image = tempfile::tempdir().unwrap();
        std::fs::create_dir(image.path().join("etc")).unwrap();
        std::fs::write(
            image.path().join("etc/passwd"),
            "root:x:0:0::/:\napp:x:10001:10002::/:\n",
        )
        .unwrap();
        std::fs::write(image.path().join("etc/group"), "staff:x:50:\n").unwrap();
        let of = |user| resolve(image.path(), user).ok();
        assert_eq!(of(""), Some((0, 0)));
        assert_eq!(of("app"), Some((10001, 10002)));
        assert_eq!(of("10001"), Some((10001, 10002)));
        assert_eq!(of("app:staff"), Some((10001, 50)));
        assert_eq!(of("7:8"), Some((7, 8)));
        assert_eq!(of("unknown"), None);
    }
}
