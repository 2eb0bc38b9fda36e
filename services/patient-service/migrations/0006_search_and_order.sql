-- Names in the order of an alphabet (adam, Emil, Émile, Frank), the same in every database, whatever its locale; and a search
-- that finds a name however it is typed. On a million patients this takes some minutes.

create collation if not exists person_name (provider = icu, locale = 'und');

-- Text as searches compare it: without accents, case, compatibility forms and joiners; runs of white space are one blank, and a
-- blank precedes each ideograph and syllable of languages that write no blanks between words, so that each is found by its
-- beginning. Letters whose stroke or form is not a separate mark are listed. Changes of this function require a new column.
create function search_fold(value text) returns text language sql immutable strict parallel safe as $$
    select regexp_replace(
        regexp_replace(
            normalize(
                replace(replace(replace(
                    translate(
                        lower(regexp_replace(
                            normalize(value, NFKD),
                            '[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]', '', 'g'
                        ) collate "und-x-icu"),
                        'øłđħŧıς', 'oldhtiσ'),
                    'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'),
                NFC),
            '([\u1100-\u11ff\u3040-\u3098\u309b-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U000323af])',
            ' \1', 'g'),
        '\s+', ' ', 'g')
$$;

-- A search as a pattern of `like`, in which wildcards are escaped. The trigram index contains three characters at a time and the
-- first ones of each word, so a shorter search finds the beginnings of words.
create function search_pattern(search text) returns text language sql immutable strict parallel safe as $$
    select case when length(folded) < 3 and folded not like ' %' then '% ' else '%' end
        || regexp_replace(folded, '([\\%_])', '\\\1', 'g') || '%'
    from (select search_fold(search) as folded) one
$$;

drop index patient_search;
alter table patient drop column search_text;
alter table patient alter column name type text collate person_name;
alter table family alter column name type text collate person_name;

-- The fields are apart by a line end, which neither a field nor a search contains once it is folded.
alter table patient add column search_text text not null generated always as
    (' ' || search_fold(name) || E' \n ' || search_fold(email) || E' \n ' || search_fold(address)) stored;
create index patient_search on patient using gin (search_text gin_trgm_ops);
