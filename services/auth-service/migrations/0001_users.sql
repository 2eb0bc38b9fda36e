create table users (
    id uuid primary key,
    -- Stored as it is compared: trimmed and in lower case.
    email text not null constraint users_email_key unique,
    password_hash text not null,
    role text not null constraint users_role_known check (role in ('USER', 'ADMIN')),
    disabled_at timestamptz,
    created_at timestamptz not null
);
