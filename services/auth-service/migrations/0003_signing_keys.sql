create table signing_keys (
    kid text primary key,
    -- The uncompressed point: 0x04, x, y.
    public_key bytea not null,
    -- PKCS#8 under AES-256-GCM: nonce, ciphertext, tag; the kid is authenticated with it.
    sealed_private_key bytea not null,
    -- A key is published some time before it signs, so that every verifier knows it by then.
    signs_from timestamptz not null
);
