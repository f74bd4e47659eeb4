from __future__ import absolute_import

import copy
import pickle

from iobeam import errors
from iobeam.endpoints import devices
from iobeam.http import request
from tests import support

CLASSES = [errors.Error, errors.UnauthorizedError, errors.UnknownCodeError,
           errors.UnauthorizedCodeError, errors.DuplicateNameError,
           errors.DuplicateIdError, errors.SpoolError, errors.ConnectionError,
           errors.TimeoutError, errors.SendError]


class Foreign(IOError):
    """Stands for an exception of requests: built in another way."""

    def __init__(self, *args, **kwargs):
        self.response = kwargs.pop("response", None)
        IOError.__init__(self, *args, **kwargs)


class TreeTest(support.TestCase):
    def test_every_class_is_an_error(self):
        for kind in CLASSES:
            self.assertTrue(issubclass(kind, errors.Error))
            self.assertTrue(issubclass(kind, Exception))

    def test_who_is_whose_child(self):
        for kind, parents in (
                (errors.DuplicateNameError, [errors.UnknownCodeError]),
                (errors.UnauthorizedCodeError, [errors.UnauthorizedError,
                                                errors.UnknownCodeError])):
            for parent in parents:
                self.assertTrue(issubclass(kind, parent))
        for one, other in ((errors.UnauthorizedError, errors.UnknownCodeError),
                           (errors.DuplicateIdError, errors.UnknownCodeError),
                           (errors.SendError, errors.UnauthorizedError)):
            self.assertFalse(issubclass(one, other))

    def test_the_old_paths_give_the_same_classes(self):
        for kind in CLASSES:
            self.assertIs(kind, getattr(request, kind.__name__))
        self.assertIs(errors.DuplicateIdError, devices.DuplicateIdError)
        self.assertIs(errors.DuplicateNameError, devices.DuplicateNameError)


class MessageTest(support.TestCase):
    def test_each_can_be_built_from_its_message_alone(self):
        for kind in CLASSES:
            error = kind("a message")
            self.assertEqual("a message", str(error))
            self.assertEqual(("a message",), error.args)
            self.assertIsNone(error.statusCode)
            self.assertEqual((), error.apiErrors)

    def test_each_keeps_what_it_is_told(self):
        for kind in CLASSES:
            error = kind("a message", 500, [{"code": 1}])
            self.assertEqual(500, error.statusCode)
            self.assertEqual(({"code": 1},), error.apiErrors)

    def test_the_duplicate_id_has_the_message_of_0_11_0(self):
        self.assertEqual("Device ID already registered.",
                         str(errors.DuplicateIdError()))

    def test_the_missing_token_has_the_message_of_0_11_0(self):
        error = errors.UnauthorizedError.noTokenSet()
        for kind in (errors.UnauthorizedError, ValueError):
            self.assertIsInstance(error, kind)
        self.assertEqual("no token set.", str(error))

    def test_a_send_error_counts(self):
        error = errors.SendError("m")
        self.assertEqual((0, 0, [], 0), (error.accepted, error.pending,
                                         error.rejected, error.inDoubt))
        error = errors.SendError("m", 500, (), accepted=1, pending=2,
                                 rejected=(3,), inDoubt=4)
        self.assertEqual((1, 2, [3], 4), (error.accepted, error.pending,
                                          error.rejected, error.inDoubt))


class UnknownCodeTest(support.TestCase):
    def executed(self, answer):
        req = support.FakeRequester(answer).get("http://127.0.0.1:1/v1/x")
        req.execute()
        return req

    def test_it_describes_a_request(self):
        for kind in (errors.UnknownCodeError, errors.DuplicateNameError):
            error = kind(self.executed(support.refusal(418, 7, "teapot")))
            self.assertRegex(str(error), "^Received unexpected code: 418\n"
                                         "Details: .*teapot")
            self.assertEqual(418, error.statusCode)
            self.assertEqual(7, error.apiErrors[0]["code"])

    def test_it_describes_a_request_without_an_answer(self):
        self.assertRegex(str(errors.UnknownCodeError(self.executed(
            lambda req: None))), "^Received unexpected code: None\nDetails: ")

    def test_it_describes_what_is_only_like_a_request(self):
        class Alike(object):
            def getResponseCode(self):
                return 418

            def getResponse(self):
                return {"message": "teapot"}

        error = errors.UnknownCodeError(Alike())
        self.assertRegex(str(error), "^Received unexpected code: 418\n"
                                     "Details: .*teapot")
        self.assertEqual(418, error.statusCode)

    def test_it_takes_a_message(self):
        self.assertEqual("said", str(errors.UnknownCodeError("said")))


class CombineTest(support.TestCase):
    def test_the_class_is_an_instance_of_all(self):
        kind = errors.combine(errors.SendError, errors.TimeoutError, Foreign)
        for base in (errors.SendError, errors.TimeoutError, Foreign, IOError):
            self.assertTrue(issubclass(kind, base))

    def test_the_same_bases_give_the_same_class(self):
        self.assertIs(errors.combine(errors.SendError, errors.TimeoutError),
                      errors.combine(errors.SendError, errors.TimeoutError))

    def test_a_base_that_another_implies_is_left_out(self):
        self.assertIs(errors.UnauthorizedCodeError, errors.combine(
            errors.Error, errors.UnauthorizedCodeError,
            errors.UnknownCodeError))

    def test_a_made_class_can_be_a_base(self):
        cause = errors.combine(errors.TimeoutError, Foreign)
        kind = errors.combine(errors.SendError, cause)
        self.assertIs(kind, errors.combine(errors.SendError,
                                           errors.TimeoutError, Foreign))

    def test_attributes_come_from_the_first_base(self):
        kind = errors.combine(errors.SendError, errors.TimeoutError, Foreign)
        error = kind("said", 504, accepted=3)
        self.assertEqual(("said", 504, 3),
                         (str(error), error.statusCode, error.accepted))


class CopyTest(support.TestCase):
    def made(self):
        combined = [errors.combine(errors.SendError, errors.TimeoutError,
                                   Foreign),
                    errors.combine(errors.TimeoutError, Foreign)]
        for kind in CLASSES + combined:
            yield kind("said", 500, ({"code": 1},))
        for kind in [errors.SendError] + combined[:1]:
            yield kind("said", accepted=1, pending=2, rejected=[3], inDoubt=4)

    def check(self, copied, error):
        self.assertIs(type(error), type(copied))
        self.assertEqual(str(error), str(copied))
        self.assertEqual(vars(error), vars(copied))

    def test_copies_are_the_same(self):
        for error in self.made():
            self.check(copy.copy(error), error)
            self.check(copy.deepcopy(error), error)

    def test_what_was_pickled_is_the_same(self):
        for error in self.made():
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                self.check(pickle.loads(pickle.dumps(error, protocol)), error)

    def test_an_error_of_a_request_can_be_pickled(self):
        req = support.FakeRequester(support.refusal(422, 5)).get("x")
        req.execute()
        error = errors.UnknownCodeError(req)
        self.check(pickle.loads(pickle.dumps(error)), error)
