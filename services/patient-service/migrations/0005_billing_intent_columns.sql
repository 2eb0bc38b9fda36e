-- Names as in the code: the state of the account that is desired, and the code of billing-service's rejection.
alter table billing_intent rename column wanted to desired_state;
alter table billing_intent rename column refused to rejection;
