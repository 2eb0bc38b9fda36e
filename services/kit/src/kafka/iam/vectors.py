"""Records vectors.json: what AWS's own signer for MSK makes of fixed credentials at a fixed time.

    scripts/python aws-msk-iam-sasl-signer-python==1.0.2 -- python3 services/kit/src/kafka/iam/vectors.py
"""

import datetime
import json
import pathlib

import botocore.auth
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.credentials import CredentialProvider, Credentials

CASES = [
    # key, secret, session, region, time; the keys are those of AWS's documentation
    ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, "eu-central-1", "2026-01-02T03:04:05Z"),
    ("ASIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3/Jp+Z2lu==", "us-east-1", "2026-12-31T23:59:59Z"),
    ("ASIAEXAMPLE", "a~b c%d", "tab\tand ü*'()!", "us-gov-west-1", "2028-02-29T00:00:00Z"),
]


class Fixed(CredentialProvider):
    def __init__(self, credentials):
        super().__init__()
        self.credentials = credentials

    def load(self):
        return self.credentials


vectors = []
for key_id, secret, session, region, now in CASES:
    moment = datetime.datetime.fromisoformat(now.replace("Z", "+00:00")).replace(tzinfo=None)
    botocore.auth.get_current_datetime = lambda *_, moment=moment, **__: moment
    token, expires_ms = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(
        region, Fixed(Credentials(key_id, secret, session))
    )
    vectors.append(
        {"key_id": key_id, "secret": secret, "session": session, "region": region, "now": now, "token": token,
         "expires_ms": expires_ms}
    )
out = pathlib.Path(__file__).with_name("vectors.json")
out.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")
