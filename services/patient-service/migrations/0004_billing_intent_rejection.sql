-- The code of billing's refusal, while what is wanted is refused: time does not heal it, so it is asked for but seldom.
alter table billing_intent add column refused text;
