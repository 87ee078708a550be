use super::*;
use crate::ErrorKind;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn shown<K: AsRef<str>>(options: Options<K>) -> String {
    let show = |(key, value): (K, String)| format!("{}={value}", key.as_ref());
    let mut shown: Vec<_> = options.into_iter().map(show).collect();
    shown.sort();
    shown.join(" ")
}

#[test]
fn aws_variables_are_read_as_its_tools_read_them() {
    for (pairs, expected) in [
        (&[][..], ""),
        // None of these is AWS's.
        (
            &[
                ("REGION", "mars"),
                ("ENDPOINT", "http://stray"),
                ("TOKEN", "t"),
                ("ACCESS_KEY_ID", "k"),
                ("AWS_BUCKET", "other"),
                ("AWS_TOKEN", "t"),
                ("AWS_ALLOW_HTTP", "true"),
            ],
            "",
        ),
        (
            &[
                ("AWS_ACCESS_KEY_ID", "k"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
                ("AWS_SESSION_TOKEN", "t"),
            ],
            "aws_access_key_id=k aws_secret_access_key=s aws_session_token=t",
        ),
        // Half of a pair, and what is set to nothing, is as good as not set.
        (
            &[("AWS_ACCESS_KEY_ID", "k"), ("AWS_SESSION_TOKEN", "t")],
            "",
        ),
        (
            &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")],
            "",
        ),
        (
            &[("AWS_DEFAULT_REGION", "eu-west-1")],
            "aws_region=eu-west-1",
        ),
        (
            &[
                ("AWS_DEFAULT_REGION", "eu-west-1"),
                ("AWS_REGION", "eu-west-2"),
            ],
            "aws_region=eu-west-2",
        ),
        (
            &[("AWS_ENDPOINT_URL", "https://s3.example")],
            "aws_endpoint=https://s3.example",
        ),
        (
            &[
                ("AWS_ENDPOINT_URL", "https://a"),
                ("AWS_ENDPOINT_URL_S3", "http://b:9000"),
            ],
            "allow_http=true aws_endpoint=http://b:9000",
        ),
        (
            &[
                ("AWS_ENDPOINT_URL", "https://a"),
                ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
            ],
            "",
        ),
        (
            &[
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
                ("AWS_ROLE_ARN", "arn"),
            ],
            "aws_role_arn=arn aws_web_identity_token_file=/t",
        ),
    ] {
        let (options, problem) = s3(&variables(pairs));
        assert_eq!(problem, None, "{pairs:?}");
        assert_eq!(shown(options), expected, "{pairs:?}");
    }
}

#[test]
fn aws_profiles_are_read() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(
        home.path().join(".aws/credentials"),
        "# comment\n[default]\naws_access_key_id = dk\naws_secret_access_key = d/s+=\\n\"x\n\n[work]\naws_access_key_id=wk\naws_secret_access_key=ws\naws_session_token=wt\n",
    )
    .unwrap();
    std::fs::write(
        home.path().join(".aws/config"),
        "[default]\nregion = eu-central-1\noutput = json\ns3 =\n  addressing_style = path\n\n[profile work]\nregion=us-west-2 # near\nendpoint_url = http://localhost:9000\n\n[profile sso]\nsso_session = corp\nregion = eu-west-3\n",
    )
    .unwrap();
    let home = home.path().to_str().unwrap();
    let read = |pairs: &[(&str, &str)]| {
        let mut variables = variables(pairs);
        variables.insert("HOME".into(), home.into());
        let (options, problem) = s3(&variables);
        (shown(options), problem)
    };
    assert_eq!(
        read(&[]).0,
        "aws_access_key_id=dk aws_region=eu-central-1 aws_secret_access_key=d/s+=\\n\"x"
    );
    assert_eq!(
        read(&[("AWS_PROFILE", "work")]).0,
        "allow_http=true aws_access_key_id=wk aws_endpoint=http://localhost:9000 aws_region=us-west-2 aws_secret_access_key=ws aws_session_token=wt"
    );
    // Variables count more than profiles, and credentials are not mixed.
    assert_eq!(
        read(&[
            ("AWS_PROFILE", "work"),
            ("AWS_ACCESS_KEY_ID", "k"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_REGION", "mars"),
        ])
        .0,
        "allow_http=true aws_access_key_id=k aws_endpoint=http://localhost:9000 aws_region=mars aws_secret_access_key=s"
    );
    let (options, problem) = read(&[("AWS_PROFILE", "sso")]);
    assert_eq!(options, "aws_region=eu-west-3");
    assert!(problem.unwrap().contains("`sso_session`"));
    let (_, problem) = read(&[("AWS_PROFILE", "nobody")]);
    assert!(problem.unwrap().contains("no AWS profile `nobody`"));
    let elsewhere = format!("{home}/.aws/credentials");
    let (options, _) = s3(&variables(&[("AWS_SHARED_CREDENTIALS_FILE", &elsewhere)]));
    assert!(shown(options).contains("aws_access_key_id=dk"));
}

#[test]
fn google_variables() {
    for (pairs, expected) in [
        (
            &[("SERVICE_ACCOUNT", "/stray"), ("GOOGLE_BUCKET", "other")][..],
            "",
        ),
        (
            &[("GOOGLE_APPLICATION_CREDENTIALS", "/adc.json")],
            "google_application_credentials=/adc.json",
        ),
        (
            &[("GOOGLE_SERVICE_ACCOUNT", "/sa.json")],
            "google_service_account=/sa.json",
        ),
        (
            &[("STORAGE_EMULATOR_HOST", "localhost:4443")],
            "allow_http=true google_base_url=http://localhost:4443 google_skip_signature=true",
        ),
    ] {
        assert_eq!(shown(gcs(&variables(pairs))), expected, "{pairs:?}");
    }
}

#[test]
fn azure_variables() {
    for (pairs, expected) in [
        (
            &[
                ("ACCOUNT_NAME", "stray"),
                ("TOKEN", "t"),
                ("AZURE_CONTAINER_NAME", "c"),
            ][..],
            "",
        ),
        (
            &[("AZURE_STORAGE_ACCOUNT", "a"), ("AZURE_STORAGE_KEY", "k")],
            "azure_storage_account_key=k azure_storage_account_name=a",
        ),
        (
            &[
                ("AZURE_STORAGE_ACCOUNT_NAME", "a"),
                ("AZURE_STORAGE_SAS_TOKEN", "?sv=1"),
            ],
            "azure_storage_account_name=a azure_storage_sas_key=?sv=1",
        ),
        (
            &[
                (
                    "AZURE_STORAGE_CONNECTION_STRING",
                    "AccountName=a;AccountKey=k==",
                ),
                ("AZURE_STORAGE_KEY", "other"),
            ],
            "azure_storage_account_key=other azure_storage_account_name=a",
        ),
        (
            &[(
                "AZURE_STORAGE_CONNECTION_STRING",
                "AccountName=a;AccountKey=k;BlobEndpoint=http://h:1/a",
            )],
            "allow_http=true azure_storage_account_key=k azure_storage_account_name=a azure_storage_endpoint=http://h:1/a",
        ),
    ] {
        assert_eq!(
            shown(azure(&variables(pairs)).unwrap()),
            expected,
            "{pairs:?}"
        );
    }
    let bad = variables(&[("AZURE_STORAGE_CONNECTION_STRING", "nonsense")]);
    assert_eq!(azure(&bad).unwrap_err().kind(), ErrorKind::StoreNotAllowed);
}
