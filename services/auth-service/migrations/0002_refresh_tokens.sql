-- Used tokens stay until they expire: a second use is how a stolen token is noticed.
create table refresh_tokens (
    digest bytea primary key,
    family uuid not null,
    user_id uuid not null references users (id) on delete cascade,
    expires_at timestamptz not null,
    -- The whole family ends here, however often it is refreshed.
    family_expires_at timestamptz not null,
    used_at timestamptz
);

create index refresh_tokens_family on refresh_tokens (family);
create index refresh_tokens_user on refresh_tokens (user_id);
create index refresh_tokens_expiry on refresh_tokens (expires_at);
