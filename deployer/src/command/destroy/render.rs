//! The plan of a deletion as text.

use super::plan::{Demise, Doomed};
use crate::cloudformation::holdings::{Fate, Holding};

/// Each stack in its order, with what is lost, what stays and what refuses.
pub fn text(demise: &Demise) -> String {
    let many = match demise.stacks.len() {
        1 => "1 stack".to_owned(),
        many => format!("{many} stacks"),
    };
    let mut lines = vec![format!(
        "{} on {}: {many} to delete, in this order",
        demise.name, demise.place
    )];
    for one in &demise.stacks {
        lines.extend(stack(one));
    }
    if !demise.swept.is_empty() {
        lines.push("and, in no stack:".to_owned());
        lines.extend(demise.swept.iter().map(|one| format!("       LOST    {one}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The stacks that `up` takes away because the manifest no longer has them.
pub fn leaving(demise: &Demise) -> String {
    let mut lines = vec!["no longer in the manifest, deleted first:".to_owned()];
    for one in &demise.stacks {
        lines.extend(stack(one));
    }
    lines.join("\n")
}

fn stack(one: &Doomed) -> Vec<String> {
    let status = if one.status.ends_with("_COMPLETE") && !one.status.contains("ROLLBACK") {
        String::new()
    } else {
        format!("  {}", one.status)
    };
    let resources = if one.resources == 1 { "resource" } else { "resources" };
    let mut lines = vec![format!(
        "  {}. {}  {} {resources}{status}",
        one.step, one.stack, one.resources
    )];
    for fate in [Fate::Lost, Fate::Snapshot, Fate::Kept] {
        let of = |holding: &&Holding| holding.fate == fate;
        lines.extend(
            one.holds
                .iter()
                .filter(of)
                .map(|holding| format!("       {}", holds(holding))),
        );
    }
    lines.extend(one.protections.iter().map(|one| format!("       REFUSES {one}")));
    lines
}

fn holds(holding: &Holding) -> String {
    let note = holding
        .note
        .as_ref()
        .map(|note| format!("; {note}"))
        .unwrap_or_default();
    match holding.fate {
        Fate::Lost => format!("LOST    {}{note}", holding.what),
        Fate::Snapshot => format!(
            "stays   a final snapshot of {}, which AWS charges for by GiB and month until somebody deletes it{note}",
            holding.what
        ),
        Fate::Kept => format!("stays   {}{note}", holding.what),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::doomed;
    use super::*;
    use crate::cloudformation::protection::Protection;
    use crate::leftovers::{Kind, Leftover};

    #[test]
    fn a_plan_says_what_is_lost_what_stays_and_what_refuses() {
        let holding = |what: &str, note: Option<&str>, fate| Holding {
            resource: "It".into(),
            kind: "AWS::RDS::DBInstance".into(),
            physical: "it".into(),
            what: what.into(),
            note: note.map(str::to_owned),
            fate,
        };
        let mut app = doomed("shop-prod-app");
        app.step = 1;
        app.holds = vec![holding("logs /ecs/shop-prod/app (the last 90 days)", None, Fate::Lost)];
        let mut data = doomed("shop-prod-data");
        data.step = 2;
        data.resources = 14;
        data.status = "UPDATE_ROLLBACK_COMPLETE".into();
        data.holds = vec![
            holding(
                "database orders (50 GiB)",
                Some("its automated backups go too"),
                Fate::Snapshot,
            ),
            holding("secret shop-prod: TOKEN", None, Fate::Lost),
        ];
        data.protections = vec![Protection {
            stack: "shop-prod-data".into(),
            resource: Some("OrdersDatabase".into()),
            kind: "AWS::RDS::DBInstance".into(),
            physical: "orders".into(),
            declared: true,
        }];
        let swept = Leftover {
            kind: Kind::LogGroup,
            name: "/aws/rds/instance/orders/postgresql".into(),
            note: None,
        };
        let demise = Demise {
            name: "shop-prod".into(),
            place: "aws eu-central-1".into(),
            protected: true,
            stacks: vec![app, data],
            swept: vec![swept],
        };
        insta::assert_snapshot!(text(&demise), @"
        shop-prod on aws eu-central-1: 2 stacks to delete, in this order
          1. shop-prod-app  1 resource
               LOST    logs /ecs/shop-prod/app (the last 90 days)
          2. shop-prod-data  14 resources  UPDATE_ROLLBACK_COMPLETE
               LOST    secret shop-prod: TOKEN
               stays   a final snapshot of database orders (50 GiB), which AWS charges for by GiB and month until somebody deletes it; its automated backups go too
               REFUSES OrdersDatabase of shop-prod-data (AWS::RDS::DBInstance) has deletion protection
        and, in no stack:
               LOST    log group /aws/rds/instance/orders/postgresql
        ");
    }
}
