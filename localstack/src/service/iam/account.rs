//! The account as a whole: its alias, its password policy, its summary and all its entities.

use serde_json::{Map, Value, json};

use super::entity::Entity;
use super::model::{GROUPS, INSTANCE_PROFILES, MANAGED_POLICIES, ROLES, USERS, listed, path, role_arn};
use super::principal::arn;
use super::{document, entity_policies, instance_profile, policy, role, user, version};
use crate::records::{Record, Records, WriteLock, iso};
use crate::service::Call;
use crate::{AwsError, Context};

/// The record of the account, with its alias and its password policy.
const ACCOUNT: Records = Records("iam.account");
/// The values of a password policy that does not set them (`UpdateAccountPasswordPolicy`).
const PASSWORD_DEFAULTS: [&str; 6] = [
    "RequireSymbols",
    "RequireNumbers",
    "RequireUppercaseCharacters",
    "RequireLowercaseCharacters",
    "AllowUsersToChangePassword",
    "HardExpiry",
];

pub fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    match call.operation.as_str() {
        "GetAccountSummary" => summary(cx),
        "GetAccountAuthorizationDetails" => details(cx, call),
        "ListAccountAliases" => {
            let alias = account(cx)?.text("Alias");
            listed(call, "AccountAliases", alias.into_iter().map(Value::from).collect())
        }
        "GetAccountPasswordPolicy" => {
            let found = account(cx)?.properties.get("PasswordPolicy").cloned();
            let found = found.ok_or_else(no_password_policy)?;
            Ok(json!({"PasswordPolicy": found}))
        }
        _ => change(cx, call),
    }
}

fn account(cx: &Context) -> Result<Record, AwsError> {
    let found = ACCOUNT.get(cx, cx.account())?;
    Ok(found.unwrap_or_else(|| Record::from_properties(cx.account(), json!({}))))
}

fn no_password_policy() -> AwsError {
    let message = "The Password Policy with domain name ACCOUNT cannot be found.";
    AwsError::new("NoSuchEntity", message).with_status(404)
}

/// Sets or deletes the alias or the password policy. Nobody signs in here, so the policy is stored only.
fn change(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut account = account(cx)?;
    match call.operation.as_str() {
        "CreateAccountAlias" => {
            let alias = call.required("AccountAlias")?;
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let is_valid = (3..=63).contains(&alias.len())
                && alias.chars().all(allowed)
                && !alias.starts_with('-')
                && !alias.ends_with('-')
                && !alias.contains("--");
            if !is_valid {
                return Err(AwsError::validation(
                    "1 validation error detected: Value at 'accountAlias' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$",
                ));
            }
            account.properties.insert("Alias".into(), alias.into());
        }
        "DeleteAccountAlias" => {
            let alias = call.required("AccountAlias")?;
            if !account.has("Alias", &alias) {
                let message = format!("The account alias {alias} does not exist.");
                return Err(AwsError::new("NoSuchEntity", message).with_status(404));
            }
            account.properties.shift_remove("Alias");
        }
        "UpdateAccountPasswordPolicy" => {
            let policy = password_policy(call);
            account.properties.insert("PasswordPolicy".into(), policy.into());
        }
        _ => {
            let removed = account.properties.shift_remove("PasswordPolicy");
            removed.ok_or_else(no_password_policy)?;
        }
    }
    ACCOUNT.put(cx, &account)?;
    Ok(json!({}))
}

fn password_policy(call: &Call) -> Map<String, Value> {
    let mut policy = Map::new();
    for member in PASSWORD_DEFAULTS {
        policy.insert(member.into(), call.boolean(member).unwrap_or_default().into());
    }
    let least = call.integer("MinimumPasswordLength").unwrap_or(6);
    policy.insert("MinimumPasswordLength".into(), least.into());
    let max_age = call.integer("MaxPasswordAge").filter(|days| *days > 0);
    policy.insert("ExpirePasswords".into(), max_age.is_some().into());
    let reuse = call.integer("PasswordReusePrevention");
    for (member, value) in [("MaxPasswordAge", max_age), ("PasswordReusePrevention", reuse)] {
        if let Some(value) = value {
            policy.insert(member.into(), value.into());
        }
    }
    policy
}

/// `GetAccountSummary`: the numbers of what exists, and the default quotas of IAM.
fn summary(cx: &Context) -> Result<Value, AwsError> {
    let policies = MANAGED_POLICIES.list(cx)?;
    let versions: usize = policies.iter().map(|policy| version::all(policy).len()).sum();
    let mut map = json!({
        "Users": USERS.list(cx)?.len(), "Groups": GROUPS.list(cx)?.len(), "Roles": ROLES.list(cx)?.len(),
        "Policies": policies.len(), "InstanceProfiles": INSTANCE_PROFILES.list(cx)?.len(),
        "PolicyVersionsInUse": versions,
    });
    for (name, number) in [
        ("UsersQuota", 5000),
        ("GroupsQuota", 300),
        ("RolesQuota", 1000),
        ("PoliciesQuota", 1500),
        ("InstanceProfilesQuota", 1000),
        ("ServerCertificatesQuota", 20),
        ("PolicyVersionsInUseQuota", 10_000),
        ("VersionsPerPolicyQuota", 5),
        ("GroupsPerUserQuota", 10),
        ("AccessKeysPerUserQuota", 2),
        ("SigningCertificatesPerUserQuota", 2),
        ("AttachedPoliciesPerUserQuota", 10),
        ("AttachedPoliciesPerGroupQuota", 10),
        ("AttachedPoliciesPerRoleQuota", 10),
        ("UserPolicySizeQuota", 2048),
        ("GroupPolicySizeQuota", 5120),
        ("RolePolicySizeQuota", 10_240),
        ("PolicySizeQuota", 6144),
        ("AssumeRolePolicySizeQuota", 2048),
        ("ServerCertificates", 0),
        ("MFADevices", 0),
        ("MFADevicesInUse", 0),
        ("Providers", 0),
        ("AccountMFAEnabled", 0),
        ("AccountAccessKeysPresent", 0),
        ("AccountSigningCertificatesPresent", 0),
        ("GlobalEndpointTokenVersion", 1),
    ] {
        map[name] = number.into();
    }
    Ok(json!({"SummaryMap": map}))
}

/// `GetAccountAuthorizationDetails`, of all kinds or those of the filter.
fn details(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let filter = call.texts("Filter");
    let has = |kind: &str| filter.is_empty() || filter.iter().any(|one| one == kind);
    let mut found = Vec::new();
    for entity in Entity::ALL.into_iter().filter(|entity| has(entity.name())) {
        for record in entity.records().list(cx)? {
            found.push((entity.name(), entity_details(cx, entity, &record)?));
        }
    }
    let is_local = has("LocalManagedPolicy");
    for policy in MANAGED_POLICIES.list(cx)?.into_iter().filter(|_| is_local) {
        let mut shown = policy::description(cx, &policy)?;
        if let Some(shown) = shown.as_object_mut() {
            shown.shift_remove("Tags");
        }
        shown["PolicyVersionList"] = version::list(&policy, true).into();
        found.push(("Policy", shown));
    }
    let items = found.into_iter().map(|(kind, shown)| json!([kind, shown])).collect();
    let mut response = listed(call, "Page", items)?;
    let page = response["Page"].take();
    for (member, kind) in [
        ("UserDetailList", "User"),
        ("GroupDetailList", "Group"),
        ("RoleDetailList", "Role"),
        ("Policies", "Policy"),
    ] {
        let items = page.as_array().into_iter().flatten().filter(|item| item[0] == kind);
        response[member] = items.map(|item| item[1].clone()).collect();
    }
    if let Some(response) = response.as_object_mut() {
        response.shift_remove("Page");
    }
    Ok(response)
}

fn entity_details(cx: &Context, entity: Entity, record: &Record) -> Result<Value, AwsError> {
    let inline = entity_policies::inline(cx, entity, record)?;
    let inline: Vec<Value> = inline
        .iter()
        .map(|(name, policy)| json!({"PolicyName": name, "PolicyDocument": document::encoded(Some(policy))}))
        .collect();
    let attached = entity_policies::attached(cx, entity, record)?;
    let name = entity.name();
    let arn = match entity {
        Entity::Role => role_arn(cx, record),
        Entity::User | Entity::Group => arn(cx, &name.to_lowercase(), record),
    };
    let mut shown = json!({
        entity.member(): record.id, format!("{name}Id"): entity.id(record), "Path": path(record), "Arn": arn,
        "CreateDate": iso(record.created), "AttachedManagedPolicies": entity_policies::shown_attached(&attached),
        format!("{name}PolicyList"): inline,
    });
    match entity {
        Entity::Group => return Ok(shown),
        Entity::User => {
            let groups = user::groups(cx, record)?;
            shown["GroupList"] = groups.into_iter().map(|group| Value::from(group.id)).collect();
        }
        Entity::Role => {
            let full = role::description(cx, record);
            shown["AssumeRolePolicyDocument"] = full["AssumeRolePolicyDocument"].clone();
            shown["InstanceProfileList"] = instance_profile::of_role(cx, &record.id)?.into();
        }
    }
    shown["Tags"] = record.tag_list();
    if let Some(arn) = record.text("PermissionsBoundary") {
        shown["PermissionsBoundary"] = json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn});
    }
    Ok(shown)
}
