alter table refresh_tokens add column issued_at timestamptz not null default now();

-- Sessions that ended before their access tokens expire; ids only, for every verifier of tokens.
create table revoked_sessions (
    session uuid primary key,
    revoked_at timestamptz not null default now()
);

create index revoked_sessions_time on revoked_sessions (revoked_at);

-- A session is live while it has a token that is neither used nor expired. However that token disappears (logout, reuse, a
-- change or the deletion of its user), the end of the session is published by the same transaction.
create function publish_revoked_session() returns trigger language plpgsql as $$
begin
    insert into revoked_sessions (session) values (old.family) on conflict do nothing;
    return null;
end
$$;

create trigger refresh_tokens_revoked after delete on refresh_tokens
    for each row when (old.used_at is null and old.expires_at > now()) execute function publish_revoked_session();
