-- A user of the identity provider is known by issuer and subject, and has no password here.
alter table users alter column password_hash drop not null;
alter table users add column oidc_issuer text;
alter table users add column oidc_subject text;
alter table users add constraint users_oidc_key unique (oidc_issuer, oidc_subject);
alter table users add constraint users_one_credential check (
    (oidc_issuer is null) = (oidc_subject is null) and (oidc_issuer is null) = (password_hash is not null)
);

-- A login looks up the next address with a password: users of the provider are no candidates.
create index users_with_password on users (email) where password_hash is not null;

-- States that came back from the provider, as digests: each is accepted once.
create table used_oidc_states (
    digest bytea primary key,
    used_at timestamptz not null
);

create index used_oidc_states_age on used_oidc_states (used_at);
