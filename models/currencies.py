"""
The currencies money may be in, each with its exponent: how many decimals its minor unit has.

ISO 4217 with the codes withdrawn since 2018 (history is still sent in them), and the cryptocurrencies that affiliate
programs pay in. Left out: the codes of ISO 4217 that name no spendable unit (precious metals, bond units, XDR, XSU,
XUA, and XTS and XXX, which mean "test" and "none").

An exponent turns minor units into an amount (JPY 0, KWD 3). That of a cryptocurrency may exceed the eight decimals an
amount may have: such an amount is sent as a decimal, never in minor units.
"""

_ISO_4217_BY_EXPONENT: dict[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
        "CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
        "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU "
        "MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR "
        "SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED "
        "VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

_WITHDRAWN_BY_EXPONENT: dict[int, str] = {2: "ANG BGN CUC HRK MRO SLL STD VEF ZWL"}

_CRYPTO_BY_EXPONENT: dict[int, str] = {
    0: "NEO",
    6: "ADA ALGO ATOM EURC PYUSD TRX USDC USDT XRP XTZ",
    7: "XLM",
    8: "BCH BTC DASH DOGE LTC XBT ZEC",
    9: "SOL TON",
    10: "DOT",
    12: "XMR",
    18: "AAVE AVAX BNB BUSD DAI ETC ETH FDUSD LINK MATIC POL SHIB TUSD UNI USDE USDP",
}


def _exponents(codes_by_exponent: dict[int, str]) -> dict[str, int]:
    return {code: exponent for exponent, codes in codes_by_exponent.items() for code in codes.split()}


CURRENCY_EXPONENTS: dict[str, int] = {
    **_exponents(_ISO_4217_BY_EXPONENT),
    **_exponents(_WITHDRAWN_BY_EXPONENT),
    **_exponents(_CRYPTO_BY_EXPONENT),
}
