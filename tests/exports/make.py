"""Writes a parts list as programs export it, and the same list in files that are not text.

Python's codecs and csv module write what Excel, LibreOffice, Numbers and older programs write: the encodings, byte order
marks, separators and line ends are theirs. Needs openpyxl 3.1 and xlwt 1.3 for the workbooks. Run it in this folder.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import openpyxl
import xlwt

TEXT, BINARY = Path("text"), Path("binary")
WESTERN = [["Teil", "Größe", "Stück", "Preis"], *([f"300{n}", "2×4", n, f"{n},50"] for n in range(1, 60))]
EURO = [*WESTERN, ["Summe", "", "59", "1770 €"]]
JAPANESE = [["部品", "色", "数量"], *([f"300{n}", "赤ソ", n] for n in range(1, 60))]
CHINESE = [["零件", "颜色", "数量"], *([f"300{n}", "红", n] for n in range(1, 60))]
TAIWANESE = [["零件", "顏色許功蓋", "數量"], *([f"300{n}", "紅", n] for n in range(1, 60))]
KOREAN = [["부품", "색", "수량"], *([f"300{n}", "빨강", n] for n in range(1, 60))]
RUSSIAN = [["Деталь", "Цвет", "Количество"], *([f"300{n}", "красный", n] for n in range(1, 60))]
GREEK = [["Τεμάχιο", "Χρώμα", "Ποσότητα"], *([f"300{n}", "κόκκινο", n] for n in range(1, 60))]
HEBREW = [["חלק", "צבע", "כמות"], *([f"300{n}", "אדום", n] for n in range(1, 60))]


def table(rows, delimiter=",", end="\r\n"):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue()


def texts():
    # Excel: "CSV UTF-8", "CSV" in three countries, "Unicode text", "CSV (Macintosh)" and "CSV (MS-DOS)".
    yield "excel-utf-8.csv", table(WESTERN, ";").encode("utf-8-sig")
    yield "excel-windows-1252.csv", table(EURO, ";").encode("cp1252")
    yield "excel-windows-1251.csv", table(RUSSIAN, ";").encode("cp1251")
    yield "excel-windows-1253.csv", table(GREEK, ";").encode("cp1253")
    yield "excel-shift-jis.csv", table(JAPANESE).encode("cp932")
    yield "excel-unicode.txt", b"\xff\xfe" + table(EURO, "\t").encode("utf-16-le")
    yield "excel-macintosh.csv", table(WESTERN, ";", "\r").replace("×", "x").encode("mac_roman")
    yield "excel-ms-dos.csv", table(WESTERN, ";").encode("cp850") + b"\x1a"
    # LibreOffice lets its user choose.
    yield "libreoffice-utf-8.csv", table(JAPANESE, end="\n").encode()
    yield "libreoffice-utf-16.csv", b"\xfe\xff" + table(KOREAN, end="\n").encode("utf-16-be")
    yield "libreoffice-iso-8859-15.csv", table(EURO, end="\n").replace("×", "x").encode("iso8859-15")
    yield "libreoffice-gbk.csv", table(CHINESE, end="\n").encode("gbk")
    yield "libreoffice-gb18030.csv", table([*CHINESE, ["🧱"]], end="\n").encode("gb18030")
    yield "libreoffice-big5.csv", table(TAIWANESE, end="\n").encode("big5")
    yield "libreoffice-euc-jp.csv", table(JAPANESE, end="\n").encode("euc-jp")
    yield "libreoffice-euc-kr.csv", table(KOREAN, end="\n").encode("euc-kr")
    yield "libreoffice-koi8-r.csv", table(RUSSIAN, end="\n").encode("koi8-r")
    yield "libreoffice-iso-8859-8.csv", table(HEBREW, end="\n").encode("iso8859-8")
    # Mail programs of Japan, Notepad, a legacy program's JSON and XML, and a list with the separators of ASCII.
    yield "mail-iso-2022-jp.txt", table(JAPANESE, "\t", "\n").encode("iso2022-jp")
    yield "notepad-unicode.txt", b"\xff\xfe" + "3001\t4 🧱\r\n".encode("utf-16-le")
    yield "legacy.json", json.dumps(EURO, ensure_ascii=False).encode("cp1252")
    declared = '<?xml version="1.0" encoding="windows-1252"?>\r\n<INVENTORY><ITEM>Größe €</ITEM></INVENTORY>\r\n'
    yield "legacy.xml", declared.encode("cp1252")
    yield "separators.txt", "\x1e".join("\x1f".join(map(str, row)) for row in WESTERN).encode()


def binaries():
    workbook = openpyxl.Workbook()
    for row in WESTERN:
        workbook.active.append(row)
    xlsx = io.BytesIO()
    workbook.save(xlsx)
    yield "excel.xlsx", xlsx.getvalue()
    old = xlwt.Workbook()
    sheet = old.add_sheet("Teile")
    for y, row in enumerate(WESTERN):
        for x, value in enumerate(row):
            sheet.write(y, x, value)
    xls = io.BytesIO()
    old.save(xls)
    yield "excel.xls", xls.getvalue()
    text = table(WESTERN).encode()
    yield "utf-16-without-mark.txt", table(WESTERN).encode("utf-16-le")
    yield "utf-32.txt", table(WESTERN).encode("utf-32")
    yield "parts.csv.gz", gzip.compress(text, mtime=0)
    yield "parts.csv.bz2", bz2.compress(text)
    yield "parts.csv.xz", lzma.compress(text)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr(zipfile.ZipInfo("parts.csv"), text)
    yield "parts.zip", zipped.getvalue()
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        entry = tarfile.TarInfo("parts.csv")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    yield "parts.tar", tarred.getvalue()
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE parts (id TEXT, size TEXT, count INTEGER, price TEXT)")
    database.executemany("INSERT INTO parts VALUES (?, ?, ?, ?)", WESTERN[1:])
    database.commit()
    yield "parts.sqlite", database.serialize()


for folder, files in ((TEXT, texts()), (BINARY, binaries())):
    folder.mkdir(exist_ok=True)
    for name, data in files:
        (folder / name).write_bytes(data)
