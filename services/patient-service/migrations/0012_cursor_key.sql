-- The keys of cursors, one a day, which all replicas share. A cursor of a list by name contains the name of a patient, and URLs
-- are kept in access logs: without the key, which is deleted after two days, nobody reads it.
create function cursor_day() returns integer language sql stable as $$
    select floor(extract(epoch from now()) / 86400)::integer
$$;
create table cursor_key (
    id integer primary key default cursor_day(),
    key bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
);
