"""Packaging of the client; the backend is a distribution of its own, in server/."""
import io
import os
import re

from setuptools import find_packages, setup

HERE = os.path.dirname(os.path.abspath(__file__))


def read(*parts):
    with io.open(os.path.join(HERE, *parts), encoding="utf-8") as source:
        return source.read()


def version():
    # Read, not imported: an import would need requests and PyJWT at build time.
    return re.search(r'^__version__ = "([^"]+)"', read("iobeam", "__init__.py"),
                     re.MULTILINE).group(1)


def long_description():
    # A device image often gets no more than setup.py and iobeam/.
    return read("README.md") if os.path.exists(os.path.join(HERE, "README.md")) else ""


def manual():
    # Where `man` looks, beside the folder of the command.
    page = "man/iobeam.1"
    return [("share/man/man1", [page])] if os.path.exists(os.path.join(HERE, page)) else []


setup(
    name="iobeam",
    version=version(),
    description="Send time series from devices to iobeam or to a backend of your own",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["iobeam", "iobeam.*"]),
    py_modules=["pytest_iobeam"],
    package_data={"": ["py.typed", "*.pyi"]},
    data_files=manual(),
    zip_safe=False,  # type checkers do not look for stubs inside a zip
    # ssl.SSLContext came with 2.7.9; 3.0 to 3.3 have no enum.
    python_requires=">=2.7.9,!=3.0.*,!=3.1.*,!=3.2.*,!=3.3.*",
    install_requires=[
        "requests>=2.9",
        "pyjwt>=1.4",
        # Its module is named enum: on a modern Python it would hide the real one.
        'enum34; python_version < "3.4"',
    ],
    entry_points={
        "console_scripts": ["iobeam = iobeam.cli:run"],
        "pytest11": ["iobeam = pytest_iobeam"],
    },
    extras_require={
        "fast": ['orjson; python_version >= "3.6"'],
        "cli": ["argcomplete", "tqdm"],
        "pandas": ["pandas"],
        "test": [
            'mock; python_version < "3.3"',
            'hypothesis<5; python_version < "3"',
            'hypothesis; python_version >= "3"',
            # where there are wheels; compiling it takes an hour
            'pandas; python_version >= "3.8" and (platform_machine == "x86_64"'
            ' or platform_machine == "aarch64" or sys_platform == "darwin")',
            # Test suites of our users put these between; pip finds the last
            # versions for old Pythons by what they say of themselves.
            "requests_mock",
            "responses",
            "vcrpy",
        ],
    },
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 2.7",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.4",
        "Programming Language :: Python :: 3.5",
        "Programming Language :: Python :: 3.6",
        "Programming Language :: Python :: 3.7",
        "Programming Language :: Python :: 3.8",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: System :: Monitoring",
        "Typing :: Typed",
    ],
)
