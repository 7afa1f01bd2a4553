from labkit.plot import percent


def test_no_confidence_is_rounded_to_certainty():
    assert [percent(share) for share in (1.0, 0.9951, 0.994, 0.5, 0.004)] == [">99%", ">99%", "99%", "50%", "<1%"]
